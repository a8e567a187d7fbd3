"""Verdicts on stages, and benchmarks."""
