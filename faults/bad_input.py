"""Bad files and bad flags: what a command says to them, and that it harms nothing.

A recording that is bad is skipped, counted and named once. Anything else ends a command at its
start with one sentence that names the file or flag, and with status 2; no file is changed.
"""

import anyenv_files
import bad_files
import bad_flags
import dreamerv2_files

# How often a round tries each of them: the cheap ones more.
KINDS = {
    "a number that is odd or none": (bad_flags.flags, 10),
    "contradictions and unknown names": (bad_flags.combinations, 4),
    "recordings": (bad_files.recordings, 1),
    "controllers, weights": (bad_files.weights, 3),
    "series, checkpoints": (bad_files.results, 2),
    "histories": (bad_files.histories, 3),
    "anyenv's configs": (anyenv_files.configs, 4),
    "anyenv's recordings and latents": (anyenv_files.transitions, 2),
    "anyenv's weights and checkpoints": (anyenv_files.weights, 2),
    "dreamerv2's episodes": (dreamerv2_files.episodes, 1),
    "dreamerv2's checkpoints, agents and config.yaml": (dreamerv2_files.files, 2),
    "dreamerv2's settings": (dreamerv2_files.settings, 3),
}
