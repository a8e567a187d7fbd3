"""What an environment's actions are: as it takes them, as they are recorded, as M and C know them.

An importable module, no command. A recorded action is a row of D numbers (`columns`), as in the
files of the original: one whole number for Discrete, floats for Box. M sees A numbers (`size`):
one-hot, or a Box's scaled to -1..1. C has O outputs (`outputs`). Shapes: B rows.
"""

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from kit.command.errors import UserError

NAME = "anyenv"  # of folders of weights in the reference's formats (vae.py)
WIDE = 1e3  # a limit beyond this bounds nothing that an output should fill


class Choices:
    """Discrete and MultiDiscrete: one choice of several, or many such choices."""

    def __init__(self, counts: Sequence[int], first: Sequence[int], scalar: bool):
        """`counts` (D,): options of each choice; `first` (D,): the number of its first one."""
        self.counts, self.first = np.array(counts, np.int64), np.array(first, np.int64)
        self.columns, self.size = len(self.counts), int(self.counts.sum())
        self.outputs, self.dtype, self._scalar = self.size, np.int64, scalar
        self._starts = np.cumsum(self.counts) - self.counts

    @property
    def space(self) -> spaces.Space:
        """Of a recorded action (D,)."""
        return spaces.MultiDiscrete(self.counts, start=self.first)

    def choose(self, raw: np.ndarray) -> np.ndarray:
        """Recorded actions int64 (B, D): of each choice the option of the largest output."""
        parts = np.split(raw, self._starts[1:], axis=1)
        return np.stack([part.argmax(axis=1) for part in parts], axis=1) + self.first

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """What M sees, float32 (B, A): a one-hot for each choice."""
        rows = np.zeros((len(actions), self.size), np.float32)
        index = np.asarray(actions).astype(np.int64) - self.first + self._starts
        np.put_along_axis(rows, index, 1, axis=1)
        return rows

    def check(self, actions: np.ndarray) -> bool:
        """Are recorded actions (B, D) of this space?"""
        index = np.asarray(actions) - self.first
        return bool(((index >= 0) & (index < self.counts)).all())

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """A recorded action (D,), all equally likely."""
        return rng.integers(self.counts) + self.first

    def given(self, action: np.ndarray):
        """What the environment's step takes for a recorded action (D,)."""
        return int(action[0]) if self._scalar else action.astype(np.int64)

    def names(self) -> list[str]:
        """Of what M sees, for pictures."""
        return [str(k) for count in self.counts for k in range(count)]


class Switches:
    """MultiBinary: D switches, on where C's output is above 0."""

    def __init__(self, space: spaces.MultiBinary):
        self._shape = space.shape
        self.columns = self.size = self.outputs = int(np.prod(space.shape))
        self.dtype = np.int64

    @property
    def space(self) -> spaces.Space:
        return spaces.MultiBinary(self.columns)

    def choose(self, raw: np.ndarray) -> np.ndarray:
        return (raw > 0).astype(np.int64)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        return np.asarray(actions, np.float32)

    def check(self, actions: np.ndarray) -> bool:
        return bool(np.isin(actions, (0, 1)).all())

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(0, 2, self.columns)

    def given(self, action: np.ndarray):
        return action.astype(np.int8).reshape(self._shape)

    def names(self) -> list[str]:
        return [str(k) for k in range(self.columns)]


class Levels:
    """Box: D numbers between the space's own limits; -1 and 1 where there are none.

    `squash` of each: "scale" puts tanh of C's output on the whole interval, "positive" takes tanh
    without its negative half (CarRacing's brake; reference carracing/model.py).
    """

    def __init__(self, space: spaces.Box, squash: str | Sequence[str]):
        self._shape, self.dtype = space.shape, np.float32
        low, high = (np.asarray(v, np.float64).ravel() for v in (space.low, space.high))
        bounded = (np.abs(low) <= WIDE) & (np.abs(high) <= WIDE) & (low < high)
        self._low, self._high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
        self.columns = self.size = self.outputs = len(low)
        kinds = [squash] * len(low) if isinstance(squash, str) else list(squash)
        if len(kinds) != len(low):
            raise UserError(
                f"general.action_squash: expected {len(low)} entries, one for each action, found "
                f"{len(kinds)}"
            )
        self._positive = np.array([kind == "positive" for kind in kinds])
        if (self._positive & (self._high <= 0)).any():
            raise UserError("general.action_squash: positive needs a limit above 0")

    @property
    def space(self) -> spaces.Space:
        return spaces.Box(np.float32(self._low), np.float32(self._high))

    def choose(self, raw: np.ndarray) -> np.ndarray:
        """Recorded actions float32 (B, D)."""
        level = np.tanh(np.asarray(raw, np.float64))
        scaled = self._low + (self._high - self._low) * (level + 1) / 2
        positive = np.maximum(level, 0) * self._high
        chosen = np.where(self._positive, positive, scaled)
        return np.clip(chosen, self._low, self._high).astype(np.float32)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """What M sees, float32 (B, D): -1 and 1 are the limits."""
        level = (np.asarray(actions, np.float64) - self._low) / (self._high - self._low)
        return (2 * level - 1).astype(np.float32)

    def check(self, actions: np.ndarray) -> bool:
        return bool(np.isfinite(actions).all())

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Uniform between the limits, float32 (D,)."""
        return rng.uniform(self._low, self._high).astype(np.float32)

    def given(self, action: np.ndarray):
        return np.asarray(action, np.float32).reshape(self._shape)

    def names(self) -> list[str]:
        return [str(k) for k in range(self.columns)]


Actions = Choices | Switches | Levels


def actions_of(space: spaces.Space, squash: str | Sequence[str] = "scale") -> Actions:
    """The actions of a space; UserError where it is of no kind that can be played here."""
    if isinstance(space, spaces.Discrete):
        return Choices([int(space.n)], [int(space.start)], scalar=True)
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return Choices(space.nvec, np.broadcast_to(space.start, space.nvec.shape), scalar=False)
    if isinstance(space, spaces.MultiBinary):
        return Switches(space)
    if isinstance(space, spaces.Box) and space.dtype.kind == "f":
        return Levels(space, squash)
    raise UserError(
        f"the environment's actions are {space}, expected Discrete, Box of floats, MultiBinary or "
        "a flat MultiDiscrete"
    )
