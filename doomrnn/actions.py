"""The one rule that turns a number into a move, for recordings, M, the real game and the dream."""

import numpy as np

THIRD = np.float32(1 / 3)


def discretise(action: np.ndarray) -> np.ndarray:
    """The three moves of the game: float32 -1 (left), 0 (stay) or 1 (right), shape of `action`.

    `action` holds a controller's output or a recording's float16 in [-1, 1]. The borders -1/3 and
    1/3 are compared in float32 and themselves mean 0 (reference doomrnn/env.py).
    """
    action = np.asarray(action, np.float32)
    return (action > THIRD).astype(np.float32) - (action < -THIRD)
