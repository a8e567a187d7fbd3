"""LunarLander: all that the rest of the room knows of the game.

Sizes, limits, actions, what C may see, and how large its trainings are. The other files read the
game from here and from policies.py, so that a copy of the room is a room for another game.
"""

from pathlib import Path

import numpy as np

NAME = "lander"  # of logs and of folders of weights
TITLE = "LunarLander"

# The game, as env.py makes it.
ENV_ID = "LunarLander-v3"
SCORED = TRAINED = "stock"  # how it is drawn for scores, and for training
KINDS = (SCORED,)
FPS = 50  # the game's own
MAX_STEPS = 1000  # CarRacing-v3's registration
STEP_REWARD = 0.0  # charged for the steps that --patience leaves out
GOAL = "landed"  # what an episode may reach, as scores name it
SOLVED = 200.0  # mean return of 100 episodes

# V, M and C (paper, appendix A).
ACTION_SHAPE = (2,)  # main engine and side engines, -1 to 1
ENDLESS = True  # whether recordings go on after the end of an episode
MODELS = Path()  # the folder of vae/, rnn/ and initial_z/ that are used
ACTION_NAMES = ("main", "side")
ACTION_LOW, ACTION_HIGH = np.float32([-1, -1]), np.float32([1, 1])
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
ROW_BYTES = {"stock": 6e6}

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
    """Controller outputs (..., 2), any size -> actions (..., 2) float32 in -1 to 1."""
    return np.tanh(np.asarray(raw, np.float64)).astype(np.float32)
