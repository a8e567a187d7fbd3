"""What estool costs and reaches: benchmarks, other libraries beside it, tables of trainings."""
