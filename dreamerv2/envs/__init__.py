"""Environments: every one becomes a gymnasium environment with the same keys."""
