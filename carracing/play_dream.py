"""The window of `python dream_env.py`: the dream of CarRacing by hand, drawn by V.

Left and right arrow steer, up is gas, down brakes; + and - change the temperature while the dream
goes on, Enter starts it again, Escape quits. Runs at the game's 50 steps a second.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from kit.show import dream_play, panels, pictures
from kit.show.viewer import ENTER

from world import ACTION_LOW, ACTION_NAMES, FPS, TEMPERATURE, TITLE

SIDE = 640  # pixels of the enlarged 64x64 picture
BRAKE = 0.8  # of the key, as in play.py
PLUS, MINUS = frozenset(("+", "=", "[+]")), frozenset(("-", "[-]"))  # keys, with and without Shift
STEP, LOWEST = 0.05, 0.05  # of the temperature


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `python dream_env.py` that concern the play."""
    dream_play.add_arguments(parser, TEMPERATURE, FPS, above="stranger")


def play(dream, decode, args) -> list[int]:
    """Let a person drive in a window; returns the lengths of the finished episodes.

    `dream`: a Dream of no row; `decode(z (1, Z)) -> (1, 64, 64, 3)` in 0..1. Ends after
    `args.episodes`, `args.steps` or Escape. Raises UserError where no window can be opened.
    """
    title = f"{TITLE}, dreamed: arrow keys, temperature + and -, Enter, Escape"

    def episode(window, seed, limit, lengths):
        return play_episode(dream, decode, window, seed, limit)

    return dream_play.play(title, dream, args, episode)


def play_episode(dream, decode, window, seed, limit):
    """One dream. Returns whether the window is still open, and whether the dream came to an end."""
    dream.keep(np.empty(0, np.int64))
    dream.start([seed])
    done, open_ = False, window.show(draw(dream, decode, np.zeros(len(ACTION_NAMES))))
    while open_ and not done and dream.age[0] < limit and not window.pressed & ENTER:
        warmer = bool(window.pressed & PLUS) - bool(window.pressed & MINUS)
        dream.temperature = max(LOWEST, round(dream.temperature + STEP * warmer, 2))
        steer = window.held("right") - window.held("left")
        action = (steer, window.held("up"), BRAKE * window.held("down"))
        done = bool(dream.step(np.array([action], np.float32))[1][0])
        open_ = window.show(draw(dream, decode, action))
    return open_, done


def draw(dream, decode, action) -> np.ndarray:
    """The latents as V draws them, without blur, and the numbers below, one picture."""
    frame = pictures.to_uint8(decode(dream.observation[:, : dream.z_size])[0])
    numbers = (f"step {dream.age[0]}", f"temperature {dream.temperature:.2f}")
    return panels.below(
        panels.enlarge(frame, SIDE),
        panels.beside(*action_meters(action, SIDE // len(ACTION_NAMES))),
        panels.text_bar(numbers, SIDE),
    )


def action_meters(action, width: int) -> Iterator[np.ndarray]:
    """The parts of an action as bars."""
    colours = (panels.BLUE, panels.GREEN, panels.RED, panels.YELLOW)
    for index, (name, low) in enumerate(zip(ACTION_NAMES, ACTION_LOW, strict=True)):
        colour = colours[index % len(colours)]
        yield panels.meter(name, action[index], width, low=min(0.0, low), colour=colour)
