"""The same numbers as the original? One train step of both, same weights, same batch, same noise.

    python -m dreamerv2.study.parity [--folder FOLDER] [--cases atari crafter ...] [--counts]

Builds the original DreamerV2 2.2.0 from the Python package registry in a separate environment in
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

import numpy as np

from dreamerv2.study.cases import CASES, COUNTED, SHORT, Case
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


class Original:
    """The original package in `folder`, with a separate environment; made where missing."""

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
