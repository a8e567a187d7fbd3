"""Verdicts on the stages of an experiment: numbers against gates, and which stage to mend first.

An importable module, no command; the rooms' study/check.py fills it:

    report = Report(Path("check"))
    measure = Measure("squared error", 43.8, 0.6, most=16, advice="train V for longer")
    report.add(Stage("V", [measure], "V.png"))
    sys.exit(report.finish())          # 0 all good, 1 a stage is poor

A number is poor where it lies beyond its gate by more than two of its standard errors, and near
where it lies beyond by less. So a short check forgives more.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from kit.files.atomic import write_json

SURE = 2.0  # standard errors beyond the gate


@dataclasses.dataclass(frozen=True)
class Measure:
    """One number of a stage. Without `least` and `most` it is only reported, never poor."""

    name: str
    value: float
    error: float = 0.0  # standard error
    least: float | None = None
    most: float | None = None
    note: str = ""  # what it may be compared with
    advice: str = ""  # what to do where it is poor

    @property
    def good(self) -> bool:
        """Not beyond the gate by more than two standard errors; NaN is never good."""
        return self._within(SURE * self.error)

    def _within(self, slack: float) -> bool:
        low = self.least is None or self.value + slack >= self.least
        return low and (self.most is None or self.value - slack <= self.most)

    @property
    def gate(self) -> str:
        bounds = ((self.least, "at least"), (self.most, "at most"))
        return " and ".join(f"{word} {bound:.3g}" for bound, word in bounds if bound is not None)

    def line(self) -> str:
        """`name  value ± error  [gate] good|near|POOR  (note)`."""
        number = _short(self.value) + (f" ± {_short(self.error, 2)}" if self.error else "")
        word = ("good" if self._within(0) else "near") if self.good else "POOR"
        verdict = f"[{self.gate}] {word}" if self.gate else ""
        note = f"({self.note})" if self.note else ""
        return "  ".join(part for part in (f"{self.name:<42}{number:>16}", verdict, note) if part)


@dataclasses.dataclass(frozen=True)
class Stage:
    """The numbers and the picture of one stage; without numbers, `text` says why."""

    name: str
    measures: list[Measure]
    picture: str = ""  # a file in the report's folder
    text: str = ""

    @property
    def good(self) -> bool:
        return all(measure.good for measure in self.measures)

    @property
    def advice(self) -> str:
        """Of the first poor number."""
        return next((measure.advice for measure in self.measures if not measure.good), "")


class Report:
    """Stages in the order in which one builds on another, printed as they are added."""

    def __init__(self, folder: Path):
        self.folder, self.stages = folder, []

    def add(self, stage: Stage) -> None:
        self.stages.append(stage)
        verdict = ("good" if stage.good else "POOR") if stage.measures else "not judged"
        print(f"{stage.name} {verdict}" + (f": {stage.text}" if stage.text else ""))
        for measure in stage.measures:
            print("    " + measure.line())
        if stage.picture:
            print(f"    look at {self.folder / stage.picture}")
        if not stage.good:
            print(f"    do this: {stage.advice}")

    @property
    def first_poor(self) -> Stage | None:
        """The stage to mend first: what stands on a poor one cannot be good."""
        return next((stage for stage in self.stages if not stage.good), None)

    def finish(self) -> int:
        """Write check.json, print the verdict, and return the exit status: 0 good, 1 poor."""
        poor = self.first_poor
        stages = [
            {
                "stage": stage.name,
                "good": stage.good if stage.measures else None,
                "text": stage.text,
                "measures": [_plain(measure) for measure in stage.measures],
            }
            for stage in self.stages
        ]
        result = {"mend_first": poor.name if poor else None, "stages": stages}
        write_json(self.folder / "check.json", result, indent=2)
        judged = [stage.name for stage in self.stages if stage.measures]
        print(f"mend first: {poor.name}" if poor else f"all good: {', '.join(judged)}")
        return 1 if poor else 0


def mean(name: str, values: np.ndarray, **gate) -> Measure:
    """The mean of values (N,) with its standard error."""
    return Measure(name, float(values.mean()), float(values.std() / len(values) ** 0.5), **gate)


def share(name: str, hits: np.ndarray, **gate) -> Measure:
    """The share of the true ones among hits, bool (N,); NaN, and so poor, where there are none."""
    part = float(np.mean(hits)) if len(hits) else math.nan
    return Measure(name, part, (part * (1 - part) / max(1, len(hits))) ** 0.5, **gate)


def ratio(name: str, one: np.ndarray, other: np.ndarray, **gate) -> Measure:
    """The mean of one (N,) divided by the mean of other (M,)."""
    value = float(one.mean() / other.mean())
    squares = (values.var() / len(values) / values.mean() ** 2 for values in (one, other))
    return Measure(name, value, value * float(sum(squares)) ** 0.5, **gate)


def _plain(measure: Measure) -> dict:
    """The fields of a measure as json has them: NaN and infinity become null."""
    fields = dataclasses.asdict(measure)
    for key in ("value", "error"):
        fields[key] = float(fields[key]) if math.isfinite(fields[key]) else None
    return fields | {"good": bool(measure.good)}


def _short(value: float, digits: int = 3) -> str:
    """So many digits or the whole part, whichever is longer."""
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
