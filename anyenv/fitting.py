"""What the trainings of V and of M share: learning rate, patience, checkpoints, logs.

An importable module, no command.
"""

import argparse
import csv
import io
import math
from pathlib import Path

import numpy as np

from kit.command import progress
from kit.files import checkpoint
from kit.files.atomic import write_text
from kit.files.settings import save_settings
from kit.show import pictures
from kit.tensors.tf import tf

import talk

SAVE_EVERY = 60.0  # seconds between two checkpoints within an epoch
WARM_UP = 300  # steps in which the learning rate rises, as in the other rooms
FLOOR = 0.01  # of the learning rate, where a cosine ends


def learning_rate(first: float, schedule: str, step: int, steps: int) -> float:
    """The rate of `step` where `steps` are planned: after a straight rise as `schedule` says."""
    first *= min(1.0, (step + 1) / WARM_UP)
    if schedule == "constant":
        return first
    return first * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2)


class Fit:
    """The state of a training: saved in checkpoints, and continued from there.

    epoch, part: where in the data it is; step: optimiser steps made; waited: epochs since the best
    rows: of the log, a dict for each test
    """

    VALUES = ("epoch", "part", "step", "seconds", "best", "waited", "rows", "data", "again")

    def __init__(self, path: Path, name: str, variables, section, data: list):
        """`variables`: of the model and the optimiser; `section`: of the config; `data`: what
        the training is on. It goes on from weights (`again`) where there are any at `path`."""
        logs = Path(section.logs_dir)
        self.path = path.with_name(f"{path.stem}.training.npz")
        self.logs, self.name, self.variables, self._section = logs, name, variables, section
        self.again = path.exists()
        self.epoch, self.part, self.step, self.seconds = 0, 0, 0, 0.0
        self.best, self.waited, self.rows, self.data = math.inf, 0, [], data
        self.scalars = None

    def resume(self) -> bool:
        """Go on from the checkpoint of a training on the same data; False where there is none.

        Raises UserError where the checkpoint is damaged or of a model of another size.
        """
        saved = checkpoint.load(self.path, [v.shape for v in self.variables])
        if saved is None or saved[1]["data"] != self.data:
            return False
        for variable, array in zip(self.variables, saved[0], strict=True):
            variable.assign(array)
        for name in self.VALUES:
            setattr(self, name, saved[1][name])
        self.best = math.inf if self.best is None else self.best
        return True

    def save(self) -> None:
        values = {name: getattr(self, name) for name in self.VALUES}
        values["best"] = self.best if math.isfinite(self.best) else None
        checkpoint.save(self.path, [v.numpy() for v in self.variables], **values)

    @property
    def epochs(self) -> int:
        """That are planned."""
        return (self.again and self._section.more_epochs) or self._section.epochs

    @property
    def waited_in_vain(self) -> bool:
        return self.waited >= self._section.patience

    @property
    def finished(self) -> bool:
        return self.waited_in_vain or self.epoch >= self.epochs

    def rate(self, steps: int):
        """The learning rate of the next step, where an epoch has `steps`."""
        section = self._section
        found = learning_rate(
            section.learning_rate, section.schedule, self.step, self.epochs * steps
        )
        return tf.constant(found, tf.float32)

    def why(self) -> str:
        """What it ended after, in words."""
        if self.waited_in_vain:
            return f"{self.waited} epochs without a better loss"
        return f"{self.epoch} epochs"

    def open_log(self, settings: dict) -> None:
        """Begin to log; `settings` of the run are saved beside."""
        path = self.logs / f"{self.name}.settings.json"
        save_settings(path, argparse.Namespace(**settings))
        self.scalars = progress.Scalars(self.logs / self.name, self.step)

    def close_log(self) -> None:
        self.scalars.close()

    def tested(self, losses: dict[str, float], loss: float) -> bool:
        """Log the losses of an epoch; True where the held-out `loss` is the best so far."""
        checkpoint.check_losses([loss, *losses.values()], self.step)
        head = {"epoch": self.epoch, "step": self.step, "seconds": round(self.seconds, 1)}
        self.rows.append(head | {k: round(float(v), 5) for k, v in losses.items()})
        better = loss < self.best
        self.best, self.waited = (float(loss), 0) if better else (self.best, self.waited + 1)
        for name, value in losses.items():
            self.scalars.scalar(f"{self.name}/{name}", value, self.step)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.logs / f"train_{self.name}.csv", text.getvalue())
        said = ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in losses.items())
        talk.info(
            f"epoch {self.epoch}, step {self.step}: {said}; {self.seconds / 60:.1f} min"
            f"{', kept' if better else ''}"
        )
        return better

    def draw(self) -> None:
        """The losses as curves, of the numbers in the csv."""
        steps = [row["step"] for row in self.rows]
        names = [name for name in self.rows[0] if name not in ("epoch", "step", "seconds")]
        curves = {name: [row[name] for row in self.rows] for name in names}
        pictures.save_curves(self.logs / f"{self.name}_loss.png", steps, curves)


def mean_losses(recent: list) -> np.ndarray:
    """The mean of losses (tensors (n,)) of some steps."""
    return np.mean([np.asarray(loss) for loss in recent], axis=0)


def noise_seed(seed: int, step: int):
    return tf.constant([seed, step], tf.int32)
