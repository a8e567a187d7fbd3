"""Command lines: how a command is asked, warned, interrupted, split over processes and watched."""
