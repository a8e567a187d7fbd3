"""The same numbers as the original? One train step of both, same weights, same batch, same noise.

    python -m dreamerv2.study.parity [--folder FOLDER] [--cases atari crafter ...] [--counts]

Builds the original DreamerV2 2.2.0 from the Python package registry in an environment of its own in
FOLDER (1.6 GB; left there for the next time), changes there only what today's TensorFlow forces,
runs one train step in float32 on either side, and prints every loss and gradient norm and how far
the trained weights lie apart. Exit status 1 where a number differs by more than 1e-4 of itself.
--counts prints the numbers of parameters of every config in place of that. Takes some minutes.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

import gymnasium
import numpy as np

from dreamerv2.config import from_blocks
from kit.command import cli, locks
from kit.command.errors import UserError

PACKAGE = "dreamerv2==2.2.0"
NEEDS = ("tensorflow-cpu==2.21.0", "tf_keras==2.21.0", "tensorflow_probability==0.25.0")
NEEDS += ("gym==0.26.2", "ruamel.yaml<0.20", "matplotlib<4", "setuptools<81")
TOLERANCE = 1e-4  # of a loss
METRICS = (
    "model_loss",
    "kl_loss",
    "image_loss",
    "vector_loss",
    "reward_loss",
    "discount_loss",
    "model_kl",
    "prior_ent",
    "post_ent",
    "model_grad_norm",
    "reward_mean",
    "critic_slow",
    "critic_target",
    "actor_ent",
    "actor_loss",
    "actor_grad_norm",
    "critic_loss",
    "critic_grad_norm",
    "expl_expl_loss",
    "expl_reward_mean",
    "expl_actor_loss",
    "expl_critic_loss",
)
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


class Original:
    """The original package in `folder`, with an environment of its own; made where missing."""

    def __init__(self, folder: Path):
        self._folder = Path(folder).expanduser().absolute()
        self.python = self._folder / "venv/bin/python"
        self.source = self._folder / "dreamerv2-2.2.0/dreamerv2"
        self._folder.mkdir(parents=True, exist_ok=True)
        with locks.only_one(self._folder):
            if not (self._folder / "ready").exists():
                self._build()

    def _build(self) -> None:
        print(f"building {PACKAGE} in {self._folder}", flush=True)
        venv.create(self._folder / "venv", with_pip=True, clear=True)
        pip = [self.python, "-m", "pip", "-q"]
        try:
            subprocess.run([*pip, "install", *NEEDS], check=True)
            source = ["--no-deps", "--no-build-isolation", "--no-binary", ":all:", PACKAGE]
            subprocess.run([*pip, "download", *source, "-d", self._folder], check=True)
        except subprocess.CalledProcessError as error:
            raise UserError(
                f"the original cannot be had: pip ended with {error.returncode}"
            ) from None
        with tarfile.open(self._folder / "dreamerv2-2.2.0.tar.gz") as archive:
            archive.extractall(self._folder, filter="data")
        (self._folder / "ready").touch()

    def start(self, job: dict, folder: Path, **options) -> subprocess.Popen:
        """original.py with this job, whose file goes into `folder`."""
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        script = Path(__file__).with_name("original.py")
        command = [self.python, script, self.source, path]
        return subprocess.Popen(command, text=True, **options)

    def run(self, job: dict, folder: Path) -> str:
        """The same to its end; what it printed."""
        process = self.start(job, folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        printed, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the original failed:\n{errors[-3000:]}")
        return printed


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


def in_order_of_use(posterior: np.ndarray, dreams) -> list[np.ndarray]:
    """The noise in the order in which the original samples; rows batch-major."""
    arrays = []
    for step in posterior.swapaxes(0, 1):  # (B, S)
        arrays += [np.full_like(step, 0.5), step]  # its prior's sample is not used
    for actions, states in dreams:
        for action, state in zip(actions, states, strict=True):
            rows = (-1, *state.shape[2:])
            arrays += [action.reshape(-1, *action.shape[2:]), state.reshape(rows)]
    return arrays


class GivenNoise:
    """In place of the agent's noise: arrays in the order in which ours samples, time-major."""

    def __init__(self, counter, posterior: np.ndarray, dreams):
        self.counter = counter
        self._arrays = [posterior.swapaxes(0, 1)]
        for dream in dreams:
            for part in dream:
                x = part.swapaxes(1, 2)
                self._arrays.append(x.reshape(x.shape[0], -1, *x.shape[3:]))

    def __call__(self, shape):
        array = self._arrays.pop(0)
        if array.shape != tuple(shape):
            raise ValueError(f"expected noise of {shape}, have {array.shape}")
        return array


def compare(original: Original, case: Case) -> tuple[list[tuple[str, float, float]], float]:
    """(metric, original's, ours) of one train step, and the largest difference of a weight."""
    agent = case.agent()
    named = case.shared(agent)
    posterior, dreams = case.noises()
    noise = in_order_of_use(posterior, dreams)
    arrays = {f"variable/{name}": v.numpy() for name, v in named.items()}
    arrays |= {f"noise/{i}": value for i, value in enumerate(noise)}
    with tempfile.TemporaryDirectory() as folder:
        job = case.job(Path(folder), "compare", arrays, noises=len(noise))
        original.run(job, folder)
        with np.load(job["output"]) as file:
            theirs = dict(file)
    agent._noise = GivenNoise(agent._noise.counter, posterior, dreams)
    ours = agent.train(case.batch)
    rows = [
        (name, float(theirs[f"metric/{name}"]), ours[name])
        for name in METRICS
        if f"metric/{name}" in theirs
    ]
    distances = [np.abs(v.numpy() - theirs[f"variable/{k}"]).max() for k, v in named.items()]
    return rows, float(max(distances))


def show_counts(original: Original) -> bool:
    """Print the numbers of parameters of both sides; whether all are equal."""
    equal = True
    for name, description in COUNTED.items():
        case = Case(name, description, {"dataset": {"batch": 1, "length": 2}})
        agent = case.agent()
        ours = {
            "model": agent.world_model.parameters.count,
            "actor": agent.behavior.actor_parameters.count,
            "critic": agent.behavior.critic_parameters.count,
        }
        with tempfile.TemporaryDirectory() as folder:
            job = case.job(Path(folder), "count", {})
            theirs = json.loads(original.run(job, folder).splitlines()[-1])
        equal &= ours == theirs
        print(f"{name:12}  original {theirs}  ours {ours}", flush=True)
    return equal


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("~/.cache/dreamerv2-original"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--counts", action="store_true", help="numbers of parameters only")
    args = parser.parse_args(argv)
    original = Original(args.folder)
    if args.counts:
        sys.exit(0 if show_counts(original) else 1)
    worst = 0.0
    for name in args.cases:
        rows, weights = compare(original, Case(name, CASES[name], SHORT))
        print(f"\n{name:18}{'original':>16}{'ours':>16}{'difference':>12}")
        for metric, theirs, ours in rows:
            difference = abs(theirs - ours) / max(1e-3, abs(theirs))
            worst = max(worst, difference)
            print(f"  {metric:16}{theirs:16.7g}{ours:16.7g}{difference:12.1e}", flush=True)
        print(f"  {'weights after it':48}{weights:12.1e}", flush=True)
    print(f"\nlargest relative difference: {worst:.1e} (allowed {TOLERANCE:.0e})")
    if worst > TOLERANCE:
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
