"""CarRacing-v3 for the world model: stock or drawn fast, one or many at once; or played by hand.

    python env.py [--seed S] [--steps N]    play with the arrow keys (play.py has the details)

Reads and writes no files. Observations are (64, 64, 3) uint8 RGB; actions are (3,) float32: steer
-1..1 (left..right), gas 0..1, brake 0..1. An episode lasts 1000 steps at 50 a second; each costs
0.1 and each of the track's N tiles pays 1000 / N once (paper, section 3).

`make("stock")` is gymnasium's own environment and the one that scores are reported on;
`make("fast")` has the same tracks, physics and rewards bit for bit, and is many times faster
(python -m study.bench). Its frames differ by a few levels at the edges of road and car.
"""

from kit.command import cli

cli.begin(__name__)

from collections.abc import Sequence

import gymnasium
import numpy as np
from gymnasium.envs.box2d.car_racing import CarRacing
from gymnasium.utils import EzPickle, RecordConstructorArgs
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from kit.command import interrupts
from kit.command.errors import UserError

from renderer import Renderer, crop_and_resize
from world import ENV_ID, KINDS, MAX_STEPS

SIZE = 64


class WholeSteps:
    """Signals wait for a step's end: an exception in Box2D's call-backs is lost, or breaks it."""

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        with interrupts.postponed():
            return super().reset(seed=seed, options=options)

    def step(self, action):
        with interrupts.postponed():
            return super().step(action)


class StockCarRacing(WholeSteps, gymnasium.ObservationWrapper, RecordConstructorArgs):
    """gymnasium's CarRacing-v3, unpatched, its frames cropped and shrunk to (64, 64, 3) uint8.

    Of the 96x96 frame, rows 0:84 (without the dashboard) are resized bilinearly with cv2.
    `make("stock")` puts it around CarRacing-v3, whose time limit is 1000 steps.
    """

    def __init__(self, env: gymnasium.Env):
        RecordConstructorArgs.__init__(self)
        gymnasium.ObservationWrapper.__init__(self, env)
        self.observation_space = _observation_space()

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return crop_and_resize(observation)


class FastCarRacing(WholeSteps, CarRacing):
    """CarRacing-v3 whose observation (64, 64, 3) uint8 is drawn directly.

    Only what `step` and `reset` draw is replaced; physics, tracks and rewards are gymnasium's.
    `render_mode="rgb_array"` still draws stock's full view. `make("fast")` adds the time limit.
    Its frames are too small for several threads: a program that plays in several processes calls
    cv2.setNumThreads(1), as the room's commands have it by OPENCV_FOR_THREADS_NUM.
    """

    def __init__(self, render_mode: str | None = None):
        super().__init__(render_mode=render_mode)
        EzPickle.__init__(self, render_mode)  # what a copy is made with
        self.observation_space = _observation_space()
        self._renderer = Renderer()

    def _render(self, mode: str):
        return self._renderer.draw(self) if mode == "state_pixels" else super()._render(mode)


def _observation_space():
    return gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)


def make(kind: str = "fast", render_mode: str | None = None) -> gymnasium.Env:
    """One environment with the time limit of 1000 steps; `kind` is "stock" or "fast".

    Stepping on after the end is allowed, as in gymnasium itself: off the field each further step
    pays -100. Raises UserError for another kind.
    """
    if kind == "stock":
        stock = gymnasium.make(ENV_ID, render_mode=render_mode, disable_env_checker=True)
        return StockCarRacing(stock)
    if kind == "fast":
        return TimeLimit(OrderEnforcing(FastCarRacing(render_mode)), MAX_STEPS)
    raise UserError(f"environment kind is {kind!r}, expected one of {', '.join(KINDS)}")


class Environments:
    """Many environments side by side, stepped in turn; rows that finished can be left out.

    Environments are made when first needed and kept, so that resetting a row is cheap. ROW_BYTES in
    world.py has their memory.
    """

    def __init__(self, kind: str = "fast"):
        self.kind = kind
        self._envs = []

    def reset(self, seeds: Sequence[int], rows: Sequence[int] | None = None) -> np.ndarray:
        """Start row `rows[k]` (default: row k) on the track of `seeds[k]`.

        Returns the first observations (len(seeds), 64, 64, 3) uint8.
        """
        rows = range(len(seeds)) if rows is None else rows
        while len(self._envs) <= max(rows, default=-1):
            self._envs.append(make(self.kind))
        observations = np.empty((len(seeds), SIZE, SIZE, 3), np.uint8)
        for k, (row, seed) in enumerate(zip(rows, seeds, strict=True)):
            observations[k], _ = self._envs[row].reset(seed=int(seed))
        return observations

    def step(
        self, actions: np.ndarray, rows: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One step of each of `rows` (default: rows 0..len(actions)-1) with its action.

        Args: actions (A, 3) float32. Returns observations (A, 64, 64, 3) uint8, rewards (A,)
        float64, finished (A,) bool (terminated or 1000 steps over), reached (A,) bool (a whole
        lap is why it terminated). Rows are never reset by themselves.
        """
        actions = np.asarray(actions, np.float32)
        rows = range(len(actions)) if rows is None else rows
        observations = np.empty((len(actions), SIZE, SIZE, 3), np.uint8)
        rewards = np.empty(len(actions))
        finished = np.zeros(len(actions), bool)
        reached = np.zeros(len(actions), bool)
        for k, (row, action) in enumerate(zip(rows, actions, strict=True)):
            step = self._envs[row].step(action)
            observations[k], rewards[k], terminated, truncated, info = step
            finished[k] = terminated or truncated
            reached[k] = info.get("lap_finished", False)
        return observations, rewards, finished, reached

    def close(self) -> None:
        """Close every environment and give their memory back."""
        for env in self._envs:
            env.close()
        self._envs = []


def main(argv: Sequence[str] | None = None) -> None:
    """Play by hand."""
    import play  # here, because programs that only drive need no window

    parser = cli.parser(__doc__)
    play.add_arguments(parser)
    play.play(make("fast", render_mode="rgb_array"), cli.parse(parser, argv=argv))


if __name__ == "__main__":
    cli.run(main)
