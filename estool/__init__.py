"""Evolution strategies, the loop that trains with them, and its tasks, policies and commands."""
