"""A world model's dream as a game: it begins where a real episode is, then only imagines."""

from typing import NamedTuple

import numpy as np

from dreamerv2.agents import Trained
from dreamerv2.driver import Driver
from dreamerv2.replay import Episode
from kit.command.errors import UserError

LARGEST = 0.9999  # of a tanh, that is undone
TRIES = 100  # episodes that may end before they have the context's steps


class Moment(NamedTuple):
    """What a step of a dream shows."""

    picture: np.ndarray  # uint8 (H, W, 1 or 3)
    reward: float  # in the game's units, where clip_rewards can be undone
    ending: float  # the chance that the episode ends here


class Dream:
    """One dream at a time of an agent whose only environment shows where to begin.

    context: steps of the real game, played by the agent, that a dream begins after.
    """

    def __init__(self, trained: Trained, context: int):
        self._trained, self._context = trained, context
        self._state = None
        self.key = picture_key(trained)

    def begin(self, seed: int) -> np.ndarray:
        """Play the real game for the context's steps; returns its picture there."""
        seeds = iter(range(seed, seed + TRIES))
        try:
            self._begin(seeds)
        except StopIteration:
            raise UserError(
                f"--context: {TRIES} episodes ended within {self._context} steps; give less"
            ) from None
        return self._rows()[self.key][-1]

    def _begin(self, seeds) -> None:
        self.game = Driver(self._trained.envs, seeds)
        played = 0
        while played < self._context:
            played = 0 if self.game.step(self._trained.policy) else played + 1
        rows = self._rows()
        batch = {key: np.stack(values)[None] for key, values in rows.items()}
        self._state = self._trained.agent.imagine_start(batch)

    def _rows(self) -> dict[str, list]:
        return self.game.unfinished[0]

    def actor(self) -> np.ndarray:
        """What the agent would do here: float32 (A,)."""
        return self._trained.agent.dream_policy(self._state)[0]

    def step(self, action: np.ndarray) -> Moment:
        """Dream on after `action` float32 (A,)."""
        self._state, said = self._trained.agent.imagine_step(self._state, action[None])
        config, reward = self._trained.config, float(said["reward"][0])
        if config.clip_rewards == "tanh":
            reward = float(np.arctanh(np.clip(reward, -LARGEST, LARGEST)))
        return Moment(said[self.key][0], reward, float(1 - said["discount"][0] / config.discount))

    def step_game(self, action: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """The same action in the real game: its picture, its reward, whether it ended."""
        ended = self.game.step(lambda observation, state: (action[None], state))
        rows: Episode | dict = ended[0].episode if ended else self._rows()
        return rows[self.key][-1], float(rows["reward"][-1]), bool(ended)


def picture_key(trained: Trained) -> str:
    """The picture that the agent sees and dreams; UserError where there is none."""
    spaces = trained.envs.single_observation_space.spaces
    keys = [key for key, space in spaces.items() if len(space.shape) == 3]
    if not keys:
        raise UserError(f"{trained.config.task}: this agent sees no pictures, only {list(spaces)}")
    return "image" if "image" in keys else keys[0]
