"""Checkpoints of a training: arrays and a few json values in one npz, written atomically."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kit.command.errors import UserError
from kit.files.atomic import atomic_path


def check_losses(losses: Sequence[float], step: int) -> None:
    """UserError where one of `losses` is NaN or infinite: no checkpoint shall be made of that."""
    if not np.isfinite(losses).all():
        raise UserError(
            f"the loss is no longer finite at step {step}: give a lower --learning_rate or "
            "--final_rate; the same command goes on from the last checkpoint, and --restart begins "
            "anew"
        )


def save(path: str | os.PathLike, arrays: Sequence[np.ndarray], **values) -> None:
    """Write `arrays` in their order and json-able `values`."""
    named = {f"array_{index}": np.asarray(array) for index, array in enumerate(arrays)}
    with atomic_path(path) as temporary:
        np.savez(temporary, values=json.dumps(values), **named)


def load(path: str | os.PathLike, shapes: Sequence[Sequence[int]]) -> tuple[list, dict] | None:
    """Arrays of these shapes and the values, or None where there is no checkpoint.

    Raises UserError naming the file where it is damaged or belongs to another model.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[f"array_{index}"] for index in range(len(shapes))]
            values = json.loads(str(file["values"]))
    except Exception as error:  # a damaged zip can raise anything
        raise UserError(f"{path} is no complete checkpoint ({error}); delete it") from error
    found = [array.shape for array in arrays]
    if found != [tuple(shape) for shape in shapes]:
        raise UserError(f"{path} is a checkpoint of a model of another size; delete it")
    return arrays, values
