"""Bad files and bad flags: what a command says to them, and that it harms nothing.

A recording that is bad is skipped, counted and named once. Anything else ends a command at its
start with one sentence that names the file or flag, and with status 2; no file is changed.
"""

import bad_files
import bad_flags

# How often a round tries each of them: the cheap ones more.
KINDS = {
    "a number that is odd or none": (bad_flags.flags, 10),
    "contradictions and unknown names": (bad_flags.combinations, 4),
    "recordings": (bad_files.recordings, 1),
    "controllers, weights": (bad_files.weights, 3),
    "series, checkpoints": (bad_files.results, 2),
    "histories": (bad_files.histories, 3),
}
