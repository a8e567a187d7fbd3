"""The window of `python doomrnn.py`: the dream of DoomTakeCover by hand, drawn by V.

Left and right arrow step aside, up and down change the temperature while the dream goes on, Enter
starts it again, Escape quits. Below the picture: how long you have lived, the probability with
which M expects you to die on this step, and the temperature. Runs at the game's 35 steps a second.
"""

import argparse

import numpy as np

from kit.show import dream_play, panels, pictures
from kit.show.viewer import ENTER, Window

from world import FPS, TEMPERATURE, TITLE

SIDE = 640  # pixels of the enlarged 64x64 picture, as the reference's viewer
PAUSE = 50  # frames that an episode's last picture stays
STEP, LOWEST = 0.05, 0.05  # of the temperature


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `python doomrnn.py` that concern the play."""
    dream_play.add_arguments(parser, TEMPERATURE, FPS, above="harder")


def play(dream, decode, args: argparse.Namespace) -> list[int]:
    """Let a person play in a window; returns the lengths of the finished episodes.

    `dream`: a Dream of no row; `decode(z (1, Z)) -> (1, 64, 64, 3)` in 0..1. Ends after
    `args.episodes`, `args.steps` or Escape. Raises UserError where no window can be opened.
    """
    title = f"{TITLE}, dreamed: left and right, temperature up and down, Enter, Escape"

    def episode(window, seed, limit, lengths):
        return play_episode(dream, decode, window, seed, limit, lengths)

    return dream_play.play(title, dream, args, episode)


def play_episode(dream, decode, window: Window, seed: int, limit: float, lengths: list[int]):
    """One dream. Returns whether the window is still open, and whether the dream came to an end."""
    dream.keep(np.empty(0, np.int64))
    dream.start([seed])
    done, open_ = False, window.show(draw(dream, decode, lengths))
    while open_ and not done and dream.age[0] < limit and not window.pressed & ENTER:
        if window.pressed & {"up", "down"}:
            change = STEP if "up" in window.pressed else -STEP
            dream.temperature = max(LOWEST, round(dream.temperature + change, 2))
            print(f"temperature {dream.temperature:.2f}", flush=True)
        move = window.held("right") - window.held("left")
        done = bool(dream.step(np.array([move]))[1][0])
        picture = draw(dream, decode, lengths)
        open_ = window.show(picture)
    if done and open_:
        seconds = dream.age[0] / FPS
        panels.label(
            picture, f"{dream.age[0]} steps, {seconds:.1f} s: the dream is over", 60, 120, 1
        )
        open_ = window.hold(picture, PAUSE)
    return open_, done


def draw(dream, decode, lengths: list[int]) -> np.ndarray:
    """The latents as V draws them, without blur, and the numbers below, one picture."""
    frame = pictures.to_uint8(decode(dream.observation[:, : dream.z_size])[0])
    best = f"best of {len(lengths)}: {max(lengths)}" if lengths else "first dream"
    age, death = int(dream.age[0]), float(dream.expected()[1][0])
    numbers = (f"alive {age} steps, {age / FPS:.1f} s", best)
    bars = (
        panels.meter("death", death, SIDE // 2, colour=panels.RED),
        panels.meter("tau", dream.temperature, SIDE // 2, high=2, colour=panels.YELLOW),
    )
    return panels.below(
        panels.enlarge(frame, SIDE), panels.beside(*bars), panels.text_bar(numbers, SIDE)
    )
