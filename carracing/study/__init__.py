"""What the experiment shows and costs: `python -m study.check` and the others, in this room."""
