"""What is good and what is fast: verdicts and benchmarks."""
