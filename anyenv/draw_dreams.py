"""The picture of train_mem --render: held-out episodes as V sees them, above M's dreams of them.

An importable module, no command.
"""

from pathlib import Path

import numpy as np

from kit.command.errors import UserError
from kit.show import panels, pictures

import talk
from config import Config
from models import Memory, load_vision
from rnn import dream_on
from rnn_data import Series

SIDE = 96  # pixels of a frame


def draw(
    path: Path, config: Config, args, memory: Memory, series: Series, episodes: np.ndarray
) -> None:
    """Rows by turns: an episode from its middle on, and M's dream under the same actions.

    rnn_training's rend_n_episodes, rend_n_rollouts and rend_step say how many, how far, how often.
    Raises UserError where V has no decoder, or where they want more steps than a sequence has.
    """
    rnn = config.rnn
    steps = rnn.rend_n_rollouts * rnn.rend_step
    if 2 * steps > rnn.sequence_len:
        raise UserError(
            f"rnn_training.rend_step times rend_n_rollouts is {steps}, expected at most half of "
            f"sequence_len, {rnn.sequence_len // 2}"
        )
    vae = load_vision(args.vae_path or Path(config.vae.ckpt_path), config)
    if not vae.can_decode:
        raise UserError("V's file holds its encoder alone, and dreams cannot be drawn without more")
    rows = {}
    longest = episodes[np.argsort(-series.lengths[episodes], kind="stable")]
    for number, episode in enumerate(longest[: rnn.rend_n_episodes], 1):
        start, length = series.starts[episode], series.lengths[episode]
        first = min(length // 2, max(0, length - steps - 1))  # of the dream
        until = min(length, first + steps + 1)
        real = series.mu[start : start + until].astype(np.float32)
        actions = series.actions.encode(series.recorded[start : start + until])
        dreamed = dream_on(memory.rnn, real, actions, first + 1, rnn.temperature, number)
        shown = slice(first, until, rnn.rend_step)
        for name, z in ((f"game {number}", real), (f"dream {number}", dreamed)):
            rows[name] = pictures.to_uint8(vae.decode(z[shown]))
    pictures.save(path, panels.table(rows, SIDE))
    talk.info(f"{path}: games as V sees them, and M's dreams of them from the first frame on")
