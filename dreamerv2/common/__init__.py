"""Commands that stand beside a training: `python dreamerv2/common/plot.py --help`."""
