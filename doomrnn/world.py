"""DoomTakeCover: all that the rest of the room knows of the game.

Sizes, limits, actions, what C may see, and how large its trainings are. The other files read the
game from here and from policies.py, so that a copy of the room can become a room for another game.
"""

from pathlib import Path

import numpy as np

NAME = "doomrnn"  # of logs and of folders of weights
TITLE = "DoomTakeCover"

# The game, as doomreal.py makes it.
SKILL = 4  # episode lengths of the reference's recordings match this one, not 5
ROWS = 240  # of the picture that agents see shrunk; V is good for those it was trained on alone
FPS = 35  # the game's own
MAX_STEPS = 2100  # the game of the paper ends here
SOLVED = 750.0  # mean return of 100 episodes
WORLDS = ("doomreal", "doomrnn")  # the game and the dream, as commands name them

# V, M and C (paper, appendix A).
ACTION_SHAPE = ()  # of a recorded action, a number in [-1, 1]
ENDLESS = False  # whether recordings go on after the end of an episode
MODELS = Path("tf_models")  # the folder of V, M and first latents that are used
Z_SIZE, HIDDEN, MIXTURES = 64, 512, 5  # latents; cells of M's LSTM; normals of a latent's mixture
HIDDEN_UNITS = 40  # of a controller with a hidden layer (paper, section 3.4)
Z, C, H = slice(0, Z_SIZE), slice(Z_SIZE, Z_SIZE + HIDDEN), slice(-HIDDEN, None)
INPUTS = {"z": (Z,), "zc": (Z, C), "zh": (Z, H), "zch": (Z, C, H), "z_hidden": (Z,)}  # C's choice
SEES = "zch"  # what the paper's controller sees
TEMPERATURE = 1.25  # of the dream (paper, section 4; reference doomrnn/doomrnn.py)

# Episodes at once in a process, and the bytes that each takes: a game is a separate process, a
# dream is its noise, its latents and M's layers.
BATCH = 32
ROW_BYTES = {"doomreal": 21e6, "doomrnn": 80e3}
SHARED_BYTES = {"doomreal": 270e3, "doomrnn": 0}  # of /dev/shm, where VizDoom leaves its picture

# Trainings: values of the stages' flags. An episode of random play has about 300 frames.
VAE_FILES, VAE_HELD_OUT = 128, 50  # recordings shuffled together, and kept for testing
VAE_PRESETS = {
    "smoke": {"steps": 6, "batch": 20, "log_every": 3, "precision": "float32"},
    "laptop": {"steps": 24_000},
    # reference doomrnn/vae_train.py: Adam 1e-4 all along, its log ends at step 308 090
    "paper": {"steps": 308_000, "learning_rate": 1e-4, "final_rate": 1e-4, "warmup": 1},
}
RNN_DEFAULTS = {"steps": 5_000, "length": 64, "held_out": 200}
RNN_PRESETS = {
    "smoke": {"steps": 4, "batch": 4, "length": 8, "log_every": 2, "precision": "float32"},
    "laptop": {"steps": 8_000},
    # reference doomrnn/rnn_train.py: 61 chunks a pass, 400 passes, rate 1e-3 * .99999 ** step
    "paper": {"steps": 24_400, "length": 499, "flat": 0.0, "final_rate": 7.84e-4},
}
DREAM_TEMPERATURES = (0.5, 1.0, 1.25)  # of the dreams that the training of M draws

_THIRD = np.float32(1 / 3)


def discretise(action: np.ndarray) -> np.ndarray:
    """The three moves of the game: float32 -1 (left), 0 (stay) or 1 (right), shape of `action`.

    The one rule for recordings, M, the game and the dream. `action` holds a controller's output or
    a recording's float16 in [-1, 1]. The borders -1/3 and 1/3 are compared in float32 and mean 0
    (reference doomrnn/env.py).
    """
    action = np.asarray(action, np.float32)
    return (action > _THIRD).astype(np.float32) - (action < -_THIRD)
