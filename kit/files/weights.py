"""The files that models and controllers live in, read and written both ways, atomically.

The formats are those of github.com/hardmaru/WorldModelsExperiments, so that files made there
load here and the other way round:

  vae.json, rnn.json   nested lists of round(10000 * weight), one per array
  initial_z.json       [mu, logvar], each a list of N lists of int(10000 * value)
  <base>.json          [[parameters]]            a controller
  <base>.best.json     [[parameters], score]     a controller and its score
"""

import json
import os
from collections.abc import Sequence

import numpy as np

from kit.command.errors import UserError
from kit.files.atomic import read_json, write_json, write_text

SCALE = 10_000  # weights are stored as whole numbers of ten-thousandths
LARGEST = 1e30  # below what float32 can hold: what is larger is a mistake


def save_weights(path: str | os.PathLike, arrays: Sequence[np.ndarray]) -> None:
    """Write arrays of any shapes as nested lists of round(10000 * w), one number a line."""
    rows = []
    for index, array in enumerate(arrays):
        scaled = np.rint(np.asarray(array, np.float64) * SCALE)
        if not np.isfinite(scaled).all():
            raise UserError(f"{path} was not written: array {index} holds NaN or infinity")
        rows.append(scaled.astype(np.int64).tolist())
    # The same text as json.dumps(rows, indent=0), twenty times faster: that one runs in Python.
    text = json.dumps(rows, separators=(",", ":"))
    write_text(path, text.replace("[", "[\n").replace("]", "\n]").replace(",", ",\n"))


def load_weights(path: str | os.PathLike, shapes: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Read a file of `save_weights`: float32 arrays of exactly these `shapes`, in this order.

    Raises UserError naming the file where the number of arrays, a shape or a value is wrong.
    """
    rows = read_json(path, numbers=True)
    if not isinstance(rows, list) or len(rows) != len(shapes):
        found = f"{len(rows)}" if isinstance(rows, list) else f"a {type(rows).__name__}"
        raise UserError(f"{path}: expected a list of {len(shapes)} arrays, found {found}")
    result = []
    for index, (row, shape) in enumerate(zip(rows, shapes, strict=True)):
        array = _numbers(row, f"{path}: array {index}")
        if array.shape != tuple(shape):
            raise UserError(
                f"{path}: expected shape {tuple(shape)} for array {index}, found {array.shape}"
            )
        result.append((array / SCALE).astype(np.float32))
    return result


def save_controller(
    path: str | os.PathLike, parameters: np.ndarray, score: float | None = None
) -> None:
    """Write controller parameters (P,), rounded to 4 decimals, with their score if there is one."""
    write_text(path, controller_text(parameters, score))


def controller_text(parameters: np.ndarray, score: float | None = None) -> str:
    """The text of a controller file: [[parameters]], or [[parameters], score]."""
    values = np.round(np.asarray(parameters, np.float64), 4).tolist()
    value, indent = ([values], 2) if score is None else ([values, float(score)], 0)
    return json.dumps(value, indent=indent, separators=(",", ": "), allow_nan=False)


def load_controller(path: str | os.PathLike, size: int | None) -> np.ndarray:
    """Read a controller file of either form: float64 (size,); any size where `size` is None.

    Raises UserError naming the file where it holds no controller or one of another size.
    """
    value = read_json(path, numbers=True)
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        raise UserError(f"{path}: expected a controller, [[numbers]] or [[numbers], score]")
    parameters = _numbers(value[0], str(path))
    expected = "any number of" if size is None else str(size)
    if parameters.ndim != 1 or parameters.size == 0 or size not in (None, parameters.size):
        raise UserError(
            f"{path}: expected {expected} parameters in a flat list, "
            f"found an array of shape {parameters.shape}"
        )
    return parameters


def save_initial_z(path: str | os.PathLike, mu: np.ndarray, logvar: np.ndarray) -> None:
    """Write the first latents of N episodes, (N, Z) each, as ints cut off (not rounded)."""
    pair = []
    for values in (mu, logvar):
        scaled = np.asarray(values, np.float64) * SCALE
        if scaled.ndim != 2 or not np.isfinite(scaled).all():
            raise UserError(f"{path} was not written: expected finite (N, Z) values")
        # Rounding first to a tenth of a unit keeps a value read from such a file as it was.
        pair.append(np.trunc(np.round(scaled, 1)).astype(np.int64).tolist())
    write_json(path, pair)


def load_initial_z(path: str | os.PathLike, z_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a file of `save_initial_z`: float32 mu and logvar, (N, z_size) each, N >= 1.

    Raises UserError naming the file where it has another form.
    """
    pair = read_json(path, numbers=True)
    if not isinstance(pair, list) or len(pair) != 2:
        raise UserError(f"{path}: expected a list of two arrays, mu and logvar")
    mu, logvar = (_numbers(values, str(path)) for values in pair)
    if mu.ndim != 2 or mu.shape[1] != z_size or logvar.shape != mu.shape:
        raise UserError(
            f"{path}: expected two arrays of shape (N, {z_size}), "
            f"found {mu.shape} and {logvar.shape}"
        )
    return (mu / SCALE).astype(np.float32), (logvar / SCALE).astype(np.float32)


def _numbers(value, where: str) -> np.ndarray:
    """Nested lists as a float64 array; UserError where they are ragged or hold anything else."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UserError(f"{where}: expected lists of equal lengths, found ragged ones") from error
    if array.dtype.kind not in "iuf" or not (np.abs(array) < LARGEST).all():
        raise UserError(f"{where}: expected finite numbers, found NaN, infinity or something else")
    return array.astype(np.float64)
