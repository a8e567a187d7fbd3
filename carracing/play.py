"""The window of `python env.py`: CarRacing by hand, beside what the world model would see.

Left and right arrow steer, up is gas, down brakes; Enter starts the track again, R starts and
stops a recording, Escape quits. After an episode the next seed's track follows. A recording is
what extract.py writes, an npz of frames and actions in record-human/, and none is ever overwritten;
a whole episode (press R at its start) can be trained on with --record record-human. Every 200 steps
the action and the return so far are printed, at the end the score. Runs at the environment's 50
steps a second; SDL_VIDEODRIVER=dummy needs no screen.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np

from kit.command import cli
from kit.files import recordings
from kit.show import panels
from kit.show.viewer import ENTER, PLAY, Window, open_viewer

from world import FPS, MAX_STEPS, TITLE

SIDE = 448  # pixels a side of the 64x64 observation, enlarged
BRAKE = 0.8  # 0.9 and more would lock the wheels
PRINT_EVERY = 200  # steps, as the reference's env.py
PAUSE = 2 * FPS  # frames that an episode's last picture stays


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `python env.py`."""
    parser.add_argument("--seed", type=cli.non_negative_int, default=0, help="first track")
    parser.add_argument(
        "--steps", type=cli.positive_int, help="quit after so many steps (default: play on)"
    )
    text = "folder of what R records"
    parser.add_argument("--record", type=Path, default=Path("record-human"), help=text)


class Recorder:
    """Collects the frames and actions of one track while it is on; writes them when it goes off."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.on = False
        self.frames: list[np.ndarray] = []
        self._actions: list[np.ndarray] = []

    def add(self, frame: np.ndarray, action: np.ndarray) -> None:
        """Take a frame (64, 64, 3) and the action (3,) that it was answered with."""
        if self.on:
            self.frames.append(frame)
            self._actions.append(action)

    def stop(self, seed: int) -> None:
        """Write what was collected on the track `seed`, if anything, under a name that is free."""
        if self.frames:
            frames, actions = np.stack(self.frames), np.float16(self._actions)
            names = (self._folder / f"{seed}-{number}.npz" for number in itertools.count(1))
            path = next(path for path in names if not path.exists())
            recordings.save(path, obs=frames, action=actions)
            print(f"recorded {len(frames)} frames in {path}", flush=True)
        self.on, self.frames, self._actions = False, [], []


def play(env, args: argparse.Namespace) -> None:
    """Open the window and play `env` until Escape, or for `args.steps` steps; then close it.

    Raises UserError where no window can be opened.
    """
    title = f"{TITLE}: arrow keys, Enter restarts, R records, Escape quits"
    seed, left, open_ = args.seed, args.steps or np.inf, True
    try:
        with open_viewer(title, FPS, advice=PLAY) as window:
            while open_ and left > 0:
                open_, steps, finished = play_episode(env, window, seed, left, args.record)
                left -= steps
                seed += finished
    finally:
        env.close()


def play_episode(env, window: Window, seed: int, limit: float, folder: Path):
    """One track. Returns whether the window is still open, the steps, whether it was finished."""
    observation, _ = env.reset(seed=seed)
    recorder, total, steps, verdict = Recorder(folder), 0.0, 0, ""
    open_ = window.show(draw(env, observation, seed, total, steps, window.fps, recorder))
    while open_ and not verdict and steps < limit and not window.pressed & ENTER:
        if "r" in window.pressed:
            recorder.stop(seed) if recorder.on else setattr(recorder, "on", True)
        action = held_action(window)
        recorder.add(observation, action)
        observation, reward, terminated, truncated, info = env.step(action)
        total, steps = total + reward, steps + 1
        if steps % PRINT_EVERY == 0:
            print("action", " ".join(f"{value:+.2f}" for value in action))
            print(f"step {steps} total_reward {total:+.2f}", flush=True)
        if terminated or truncated:
            lap, over = info.get("lap_finished"), "time is over" if truncated else "off the field"
            verdict = "lap finished" if lap else over
        picture = draw(env, observation, seed, total, steps, window.fps, recorder)
        open_ = window.show(picture)
    recorder.stop(seed)
    if steps:
        print(f"track {seed} score {total:.1f} steps {steps}", flush=True)
    if verdict and open_:
        panels.label(picture, f"{verdict}: score {total:.1f}", 40, 80, 1.2)
        open_ = window.hold(picture, PAUSE)
    return open_, steps, bool(verdict)


def held_action(window: Window) -> np.ndarray:
    """The arrow keys now held -> action (3,) float32."""
    steer = window.held("right") - window.held("left")
    return np.array([steer, window.held("up"), BRAKE * window.held("down")], np.float32)


def draw(env, observation, seed, total, steps, fps, recorder) -> np.ndarray:
    """The full view, the observation (64, 64, 3) and the numbers, one picture."""
    speed = np.hypot(*env.unwrapped.car.hull.linearVelocity)
    seen = panels.label(panels.enlarge(observation, SIDE), "64x64, what V sees")
    view = panels.beside(panels.fit(env.render(), SIDE), seen)
    numbers = (f"track {seed}", f"score {total:.1f}", f"step {steps} of {MAX_STEPS}")
    numbers += (f"speed {speed:.0f}", f"{fps:.0f} frames/s", "")  # the last place is the recorder's
    picture = panels.below(view, panels.text_bar(numbers, view.shape[1]))
    if recorder.on:
        place = (view.shape[1] - 24, SIDE + 22)
        panels.dot(picture, place, panels.RED)
        panels.label(
            picture, f"recording {len(recorder.frames)}", place[0] - 155, place[1] + 8, 0.65
        )
    return picture
