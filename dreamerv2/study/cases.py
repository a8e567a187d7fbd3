"""What the original and ours are compared on: settings, spaces, a batch, noise."""

from pathlib import Path

import gymnasium
import numpy as np

from dreamerv2.config import from_blocks

SHORT = {"dataset": {"batch": 4, "length": 12}, "imag_horizon": 6}
# name: blocks, further settings, observations, actions, discrete
IMAGE, VECTOR = {"image": (64, 64, 3)}, {"vector": (17,)}
CASES = {
    "atari": (["atari"], {}, {"image": (64, 64, 1)}, 6, True),
    "crafter": (["crafter"], {}, IMAGE, 17, True),
    "dmc_vision": (["dmc_vision"], {}, IMAGE, 6, False),
    "dmc_proprio": (["dmc_proprio"], {}, VECTOR, 6, False),
    "gaussian": (["dmc_proprio"], {"rssm.discrete": 0, "kl.free_avg": False}, VECTOR, 6, False),
    "both": (
        ["atari"],
        {"actor_grad": "both", "kl.forward": True},
        {"image": (64, 64, 1)},
        6,
        True,
    ),
    "plan2explore": (
        ["dmc_proprio"],
        {"expl_behavior": "Plan2Explore", "expl_extr_scale": 0.5},
        VECTOR,
        6,
        False,
    ),
    "model_loss": (["dmc_proprio"], {"expl_behavior": "ModelLoss"}, VECTOR, 6, False),
}
COUNTED = {
    "defaults": ([], {}, IMAGE, 6, False),
    **{name: CASES[name] for name in ("atari", "crafter", "dmc_vision", "dmc_proprio")},
}


def spaces(observations: dict, actions: int, discrete: bool):
    """gymnasium's spaces of a case."""
    seen = {
        key: gymnasium.spaces.Box(0, 255, shape, np.uint8)
        if len(shape) == 3
        else gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)
        for key, shape in observations.items()
    }
    space = gymnasium.spaces
    action = space.Discrete(actions) if discrete else space.Box(-1, 1, (actions,), np.float32)
    return space.Dict(seen), action


def random_batch(rng, batch: int, length: int, observations, actions: int, discrete: bool) -> dict:
    """A batch (B, T, ...) with a beginning and two ends inside."""
    size = (batch, length)
    found = {
        key: rng.integers(0, 256, (*size, *shape), np.uint8)
        if len(shape) == 3
        else rng.normal(size=(*size, *shape)).astype(np.float32)
        for key, shape in observations.items()
    }
    if discrete:
        action = np.eye(actions, dtype=np.float32)[rng.integers(actions, size=size)]
    else:
        action = rng.uniform(-1, 1, (*size, actions)).astype(np.float32)
    first, terminal = np.zeros(size, bool), np.zeros(size, bool)
    first[:, 0] = first[1 % batch, length // 2] = True
    terminal[0, -1] = terminal[-1, length // 3] = True
    reward = rng.normal(size=size).astype(np.float32)
    return found | {
        "action": action,
        "reward": reward,
        "is_first": first,
        "is_last": terminal,
        "is_terminal": terminal,
    }


class Case:
    """A configuration, its agent, weights, batch and noise."""

    def __init__(self, name: str, case: tuple, settings: dict):
        blocks, changes, observations, actions, discrete = case
        self.name, self.observations = name, observations
        self.actions, self.discrete = actions, discrete
        self.config = from_blocks(blocks).update(changes | settings | {"precision": 32})
        self.rng = np.random.default_rng(7)
        sizes = dict(self.config.dataset)
        self.batch = random_batch(
            self.rng, sizes["batch"], sizes["length"], observations, actions, discrete
        )

    def agent(self):
        """Ours, with weights away from their first values: biases and norms count then."""
        from dreamerv2.agent import Agent

        agent = Agent(self.config, *spaces(self.observations, self.actions, self.discrete))
        for name, variable in self.shared(agent).items():
            value = variable.numpy()
            if value.ndim == 1:
                value = value + self.rng.normal(0, 0.1, value.shape)
            elif "slow_critic" not in name:
                value = value * 1.5
            variable.assign(value.astype(np.float32))
        return agent

    @staticmethod
    def shared(agent) -> dict:
        """The variables that the original has too."""
        groups = ("model/", "task/actor/", "task/critic/", "task/slow_critic/")
        groups += ("expl/network/", "expl/actor/", "expl/critic/", "expl/slow_critic/")
        return {k: v for k, v in agent.variables().items() if k.startswith(groups)}

    def noises(self) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        """Of the posterior (B, T, S); of the actions and states (H, B, T, .) of each dream."""
        batch, length = self.batch["reward"].shape
        size = (self.config.imag_horizon, batch, length)
        explores = self.config.expl_behavior != "greedy"
        variables = self.config.rssm.stoch
        action = size if self.discrete else (*size, self.actions)

        def draw(shape):
            # away from 0 and 1: sums in another order must not choose another class
            return self.rng.uniform(0.0005, 0.9995, shape).astype(np.float32)

        dreams = [(draw(action), draw((*size, variables))) for _ in range(1 + explores)]
        return draw((batch, length, variables)), dreams

    def job(self, folder: Path, what: str, arrays: dict, **more) -> dict:
        """What original.py is to do, for Original.run."""
        given = {f"batch/{key}": value for key, value in self.batch.items()}
        np.savez(folder / "input.npz", **given, **arrays)
        return {
            "what": what,
            "settings": self.config.flat,
            "observations": self.observations,
            "actions": self.actions,
            "discrete": self.discrete,
            "input": str(folder / "input.npz"),
            "output": str(folder / "output.npz"),
            **more,
        }
