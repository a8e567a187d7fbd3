"""Commands: flags, errors, interrupts, locks, memory, processes, progress, seeds."""
