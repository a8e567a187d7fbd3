"""What all rooms share and what is not science, in six subpackages.

    command   command lines, errors, interrupts, locks, memory, ranks (MPI), progress, seeds
    files     weights, recordings, checkpoints, settings, scores: all written atomically
    batches   many episodes in lockstep: rollouts, rows, recorders, dreams as environments
    tensors   TensorFlow's set-up, Adam, precision and threads, trainings in steps
    show      windows, videos, panels, pictures
    judge     verdicts on the stages of an experiment, and benchmarks

Rooms import estool and kit, estool imports kit, kit imports neither. Importing changes nothing:
hooks, signal handlers and environment variables belong to commands (`kit.command.cli.begin`).
"""
