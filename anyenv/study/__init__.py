"""What is good and what is fast: check and bench."""
