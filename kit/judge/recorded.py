"""Recordings looked at for a verdict: whole, of this game, and many?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kit.command.errors import UserError
from kit.files.recordings import Recordings
from kit.judge.verdict import Measure
from kit.show import pictures

AGAIN = "record again into an empty record/: bash extract.bash"
MORE = "record more: bash extract.bash"


def judge(
    folder: Path,
    action_shape: tuple[int, ...],
    fresh: Sequence[np.ndarray],
    many: int,
    colour: float,
    output: Path,
) -> tuple[list[np.ndarray], list[Measure]]:
    """Frames uint8 (T, 64, 64, 3) of 50 to 99 recordings of `folder`, if there are as many; judged.

    fresh: frames of episodes played now.  many, colour: the gates of how many recordings there are,
    and of levels by which their mean colour is off. Writes record.png in `output`. UserError where
    none can be read.
    """
    source = Recordings(folder, action_shape)
    chosen = source.paths[:: max(1, len(source.paths) // 50)]
    loaded = [episode[0] for path in chosen if (episode := source.load(path))]
    if not loaded:
        raise UserError(f"{folder}: expected recordings, none of {len(chosen)} can be read")
    blank = np.array([frames[:, ::4, ::4].std(axis=(1, 2, 3)).min() < 2 for frames in loaded])
    both = loaded, fresh
    means = [np.mean([frames.mean(axis=(0, 1, 2)) for frames in part], axis=0) for part in both]
    damaged, off = len(source.skipped) / len(chosen), float(np.abs(means[0] - means[1]).max())
    middle = np.stack([frames[len(frames) // 2] for frames in loaded[:12]])
    pictures.save(output / "record.png", pictures.rows([middle], scale=2))
    return loaded, [
        Measure("recordings", len(source.paths), least=many, advice=MORE),
        Measure("share of damaged ones", damaged, most=0.01, advice=AGAIN),
        Measure("share with a blank frame", float(blank.mean()), most=0, advice=AGAIN),
        Measure("mean colour off, levels of 255", off, most=colour, advice=AGAIN),
    ]
