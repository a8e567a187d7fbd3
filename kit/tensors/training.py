"""A training in steps, which can be interrupted and goes on from its checkpoint.

An importable module, no command; the rooms' vae_train.py and rnn_train.py fill it.
"""

import abc
import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import numpy as np

from kit.command import interrupts
from kit.command.progress import Scalars
from kit.files import checkpoint
from kit.files.atomic import write_json
from kit.show import pictures
from kit.tensors.tf import tf


class SteppedTraining(abc.ABC):
    """A model, its optimiser, its place in the data and its log, kept together in checkpoints.

    step, seconds: made and taken so far
    position: in the data, that of the next batch
    log: for each test step, seconds and losses
    """

    SAVED = ("step", "seconds", "position", "log")  # in a checkpoint, beside the variables

    def __init__(self, folder: Path, name: str, start: Sequence[int]):
        """Writes checkpoint.npz, <name>.hist.json and loss.png in `folder`; `start`: a position."""
        self.folder, self.name, self.path = folder, name, folder / "checkpoint.npz"
        self.step, self.seconds, self.position, self.log = 0, 0.0, start, []

    @abc.abstractmethod
    def everything(self) -> list[tf.Variable]:
        """The variables that a checkpoint needs."""

    @abc.abstractmethod
    def finished(self) -> bool:
        """Whether all steps are made."""

    @abc.abstractmethod
    def advance(self, batch) -> tf.Tensor:
        """One optimiser step, counted; the losses (L,)."""

    @abc.abstractmethod
    def test(self, held_out, trained: np.ndarray, scalars: Scalars) -> str:
        """Log the mean losses `trained` (L,) and those of `held_out`; a line to print."""

    def go_on(self) -> None:
        """Take up the checkpoint where there is one; UserError where it does not fit."""
        variables = self.everything()
        saved = checkpoint.load(self.path, [v.shape for v in variables])
        if saved:
            for variable, array in zip(variables, saved[0], strict=True):
                variable.assign(array)
            for name in self.SAVED:
                setattr(self, name, saved[1][name])
            print(f"going on from step {self.step} of {self.path}")

    def save(self) -> None:
        """Write the log and the checkpoint."""
        write_json(self.folder / f"{self.name}.hist.json", self.log)
        arrays = [variable.numpy() for variable in self.everything()]
        checkpoint.save(self.path, arrays, **{name: getattr(self, name) for name in self.SAVED})

    def note(self, losses: Mapping[str, float], digits: int, scalars: Scalars) -> None:
        """Log named losses, rounded to so many digits; UserError where one is not finite."""
        checkpoint.check_losses(list(losses.values()), self.step)
        row = [self.step, round(self.seconds, 1), *losses.values()]
        self.log.append([round(float(value), digits) for value in row])
        for name, value in losses.items():
            scalars.scalar(f"{self.name}/{name}", value, self.step)
        curves = {name: [line[i] for line in self.log] for i, name in enumerate(losses, 2)}
        pictures.save_curves(self.folder / "loss.png", [line[0] for line in self.log], curves)

    def run(self, bar, data: Generator, log_every: int, held_out, scalars: Scalars) -> None:
        """Train until `finished` on `data`, which yields batches and the position after each.

        Every `log_every` steps and at the end it is tested on `held_out` and saved; on Ctrl-C it is
        saved and raises KeyboardInterrupt. `bar` counts the steps.
        """
        recent, start = [], time.monotonic() - self.seconds
        with bar, interrupts.deferred() as stop, contextlib.closing(data):
            while not self.finished():
                batch, position = next(data)
                recent.append(self.advance(batch))
                self.position = position
                self.seconds = time.monotonic() - start
                bar.update()
                logs = self.step % log_every == 0 or self.finished()
                if logs or stop.requested:
                    losses = np.mean(recent, axis=0)
                    checkpoint.check_losses(losses, self.step)
                if logs:
                    bar.write(self.test(held_out, losses, scalars))
                    self.save()
                    recent = []
                if stop.requested:
                    self.save()
                    raise KeyboardInterrupt
