"""What both rooms share and what is not science: evolution, MPI, file formats, progress."""

import sys

from estool import errors

sys.excepthook = errors.report  # here, because Ctrl-C often comes while TensorFlow is loaded
sys.unraisablehook = errors.report_lost
