"""A dream played by hand: its flags, and one episode after another in a window.

An importable module, no command; the rooms' play_dream.py uses it.
"""

import argparse
from collections.abc import Callable

import numpy as np

from kit.command import cli
from kit.show.viewer import PLAY, Window, open_viewer

# Plays one episode of the dream: the window, its seed, the most steps, the lengths of those before.
# Returns whether the window is still open, and whether the dream came to an end.
Episode = Callable[[Window, int, float, list[int]], tuple[bool, bool]]


def add_arguments(
    parser: argparse.ArgumentParser, temperature: float, fps: int, above: str
) -> None:
    """Add the flags that concern the play; `above`: what a temperature above 1 makes of it."""
    add = parser.add_argument
    text = f"of the dream; above 1: {above}"
    add("--temperature", type=cli.positive_float, default=temperature, help=text)
    add("--episodes", type=cli.positive_int, default=40, help="then print the mean")
    add("--steps", type=cli.positive_int, help="quit after so many steps (default: play on)")
    add("--seed", type=cli.non_negative_int, default=0, help="of the first episode")
    add("--fps", type=cli.positive_int, default=fps, help="steps per second")


def play(title: str, dream, args: argparse.Namespace, episode: Episode) -> list[int]:
    """Let a person play in a window; returns the lengths of the finished episodes.

    `dream`: of one row, whose `age` (1,) `episode` advances. Ends after `args.episodes`,
    `args.steps` or Escape. Raises UserError where no window can be opened.
    """
    lengths, left, open_ = [], args.steps or np.inf, True
    with open_viewer(title, args.fps, advice=PLAY) as window:
        while open_ and left > 0 and len(lengths) < args.episodes:
            open_, done = episode(window, args.seed + len(lengths), left, lengths)
            left -= dream.age[0]
            if done:
                lengths.append(int(dream.age[0]))
                print(f"episode {len(lengths)} length {lengths[-1]}", flush=True)
    return lengths


def print_mean(lengths: list[int]) -> None:
    """One line about the finished episodes."""
    if not lengths:
        print("no episode was finished")
    else:
        print(f"{len(lengths)} episodes, mean length {np.mean(lengths):.1f}")
