"""What eval --render and eval --gif show: a game beside what V makes of it.

An importable module, no command.
"""

from pathlib import Path

import numpy as np

from kit.show import panels, pictures
from kit.show.viewer import open_viewer

import talk
from agent import in_colour

SIDE, FPS, MOST = 256, 30, 1500  # pixels of a frame; frames a second; frames of a gif


def save(world, act, seed: int, path: Path) -> None:
    """Play the game `seed` in `world` by `act`, write it into the .gif `path`, close the world."""
    vae = getattr(world, "vae", None)
    row, total, step, done = np.zeros(1, np.int64), 0.0, 0, False
    try:
        with open_viewer("", FPS, [path]) as viewer:
            world.start([seed])
            while not done and step < MOST:
                viewer.show(_draw(world, vae, step, total))
                reward, ended = world.step(act(world.observation, row))
                total, step, done = total + float(reward[0]), step + 1, bool(ended[0])
            viewer.show(_draw(world, vae, step, total))
    finally:
        world.close()
    talk.result(f"{path}: the game of seed {seed}, return {total:.2f} in {step} steps")


def _draw(world, vae, step: int, total: float) -> np.ndarray:
    """The frame, V's picture of it where there is one, and the score, one picture."""
    if hasattr(world, "frames"):
        parts = [panels.label(panels.enlarge(in_colour(world.frames)[0], SIDE), "game")]
    else:
        parts = []
    if vae is not None and vae.can_decode:
        drawn = pictures.to_uint8(vae.decode(world.observation[:, : vae.z_size])[0])
        parts.append(panels.label(panels.enlarge(drawn, SIDE), "by V"))
    view = panels.beside(*parts)
    words = panels.text_bar([f"step {step}", f"return {total:.1f}"], max(SIDE, view.shape[1]))
    return panels.below(view, words)
