"""An agent's episode in a window or in videos, moment by moment; the key M shows what M expected.

An importable module, no command; the rooms' watch.py uses it. A moment has at least

  z        (Z,), the latents that came
  action   what the agent answered
  views()  the pictures that a strip shows
"""

import argparse
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kit.show import panels
from kit.show.viewer import files, open_viewer


def show(
    episode: Iterator, draw: Callable, args: argparse.Namespace, title: str, fps: int, end: str
):
    """Show the moments of an episode until its end or Escape, the last one for two seconds.

    `draw(moment, expected)` is their picture, uint8 (H, W, 3); `end` is written on the last, the
    number of steps put in place of {}. Returns the panels.Moments, the latents (T, Z), the actions
    (T, ...) and the last moment.
    """
    moments, z, actions, expected = panels.Moments(), [], [], args.expected
    with open_viewer(f"{title}. M: expectation, Escape", fps, files(args)) as viewer:
        for moment in episode:
            moments.add(moment.views())
            z.append(moment.z)
            actions.append(moment.action)
            picture = draw(moment, expected)
            open_ = viewer.show(picture)
            if not open_:
                break
            expected ^= "m" in viewer.pressed
        if open_:
            viewer.hold(panels.label(picture, end.format(len(z)), 40, 80, 1.2), 2 * fps)
    return moments, np.stack(z), np.stack(actions), moment


def game_view(large, crop, drawn, expected: bool, surmise, side: int) -> np.ndarray:
    """The game `large`, at a height of `side`, beside what the agent sees of it and V's picture.

    Or, with `expected`, beside V's picture and that of what M expected, black where `surmise` is
    None. All are uint8, frames (64, 64, 3).
    """
    if expected:
        surmise = np.zeros_like(drawn) if surmise is None else surmise
        frames = {"what came, drawn by V": drawn, "what M expected": surmise}
    else:
        frames = {"64x64 crop": crop, "reconstruction by V": drawn}
    parts = [panels.label(panels.enlarge(frame, side), text) for text, frame in frames.items()]
    return panels.beside(panels.label(panels.fit(large, side), "game"), *parts)


def dream_view(drawn, expected: bool, surmise, side: int) -> np.ndarray:
    """V's picture of a dream in a square, with `expected` beside that of what M expected."""
    if not expected:
        return panels.label(panels.beside_in_square(drawn, side=side), "dream")
    surmise = np.zeros_like(drawn) if surmise is None else surmise
    view = panels.beside_in_square(drawn, surmise, side=side)
    panels.label(view, "what came in the dream")
    return panels.label(view, "what M expected", side // 2 + 8)


def add_dream(moments: panels.Moments, frames: Sequence[np.ndarray]) -> None:
    """Below the pictures of the chosen moments those of a dream, uint8 (64, 64, 3) each."""
    for tiles, frame in zip(moments.tiles, frames, strict=True):
        tiles.append(panels.tile(frame))
