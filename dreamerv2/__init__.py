"""DreamerV2: `import dreamerv2.api as dv2`, or `python dreamerv2/train.py --help`."""
