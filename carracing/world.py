"""CarRacing: all that the rest of the room knows of the game.

Sizes, limits, actions, what C may see, and how large its trainings are. The other files read the
game from here and from policies.py, so that a copy of the room can become a room for another game.
"""

from pathlib import Path

import numpy as np

NAME = "carracing"  # of logs and of folders of weights
TITLE = "CarRacing"

# The game, as env.py makes it.
ENV_ID = "CarRacing-v3"
SCORED, TRAINED = "stock", "fast"  # how it is drawn for scores, and for training
KINDS = (SCORED, TRAINED)
FPS = 50  # the game's own
MAX_STEPS = 1000  # CarRacing-v3's registration
STEP_REWARD = -0.1  # of a step that touches no new tile
GOAL = "laps finished"  # what an episode may reach, as scores name it
SOLVED = 900.0  # mean return of 100 episodes

# V, M and C (paper, appendix A).
ACTION_SHAPE = (3,)  # steer -1 to 1, gas 0 to 1, brake 0 to 1
ENDLESS = True  # whether recordings go on after the end of an episode (reference extract.py)
MODELS = Path()  # the folder of vae/, rnn/ and initial_z/ that are used
ACTION_NAMES = ("steer", "gas", "brake")
ACTION_LOW, ACTION_HIGH = np.float32([-1, 0, 0]), np.float32([1, 1, 1])
Z_SIZE, HIDDEN, MIXTURES = 32, 256, 5  # latents; cells of M's LSTM; normals of a latent's mixture
HIDDEN_UNITS = 40  # of a controller with a hidden layer (paper, section 3.4)
Z, C, H = slice(0, Z_SIZE), slice(Z_SIZE, Z_SIZE + HIDDEN), slice(-HIDDEN, None)
INPUTS = {"z": (Z,), "zc": (Z, C), "zh": (Z, H), "zch": (Z, C, H), "z_hidden": (Z,)}  # C's choice
SEES = "zh"  # what the paper's controller sees
Z_KINDS = ("mean", "sample")  # what of V's z it sees
TEMPERATURE = 0.7  # of the dream (reference carracing/dream_env.py)

# Episodes at once in a process, whole blocks of a product, and the bytes that each takes: a track,
# and a frame in V.
BATCH = 36
ROW_BYTES = {"stock": 6e6, "fast": 22e6}

# Trainings: values of the stages' flags. A recording has 1000 frames.
VAE_FILES, VAE_HELD_OUT = 40, 16  # recordings shuffled together, and kept for testing
VAE_PRESETS = {
    "smoke": {"steps": 6, "batch": 20, "log_every": 3, "precision": "float32"},
    "laptop": {},
    # reference carracing/vae_train.py: Adam 1e-4 all along, 10 passes over 10 million frames
    "paper": {"steps": 1_000_000, "learning_rate": 1e-4, "final_rate": 1e-4, "warmup": 1},
}
RNN_DEFAULTS = {"steps": 2_400, "length": 111, "held_out": 50}
RNN_PRESETS = {
    "smoke": {"steps": 4, "batch": 4, "length": 8, "log_every": 2, "precision": "float32"},
    "laptop": {},
    # reference carracing/rnn_train.py: whole episodes, rate 1e-3 all along
    "paper": {"steps": 4_000, "length": 999, "flat": 1.0},
}
DREAM_TEMPERATURES = (0.5, 0.7, 1.0)  # of the dreams that the training of M draws


def squash_action(raw: np.ndarray) -> np.ndarray:
    """Controller outputs (..., 3), any size -> actions (..., 3) float32 in the game's ranges.

    Steer tanh, gas (tanh + 1) / 2, brake tanh without its negative half (reference
    carracing/model.py).
    """
    squashed = np.tanh(np.asarray(raw, np.float64))
    squashed[..., 1] = (squashed[..., 1] + 1) / 2
    squashed[..., 2] = np.clip(squashed[..., 2], 0, 1)
    return squashed.astype(np.float32)
