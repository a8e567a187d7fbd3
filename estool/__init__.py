"""What both rooms share and what is not science: evolution, MPI, file formats, progress."""
