"""Verdicts: gates with their errors, the stage that is named, what is written."""

import json

import numpy as np
import pytest

from kit.judge import verdict
from kit.judge.verdict import Measure, Report, Stage


@pytest.mark.parametrize(
    ("value", "error", "word"),
    [(0.9, 0, "good"), (0.8, 0, "good"), (0.75, 0.03, "near"), (0.73, 0.03, "POOR")],
)
def test_poor_is_two_standard_errors_beyond_the_gate(value, error, word):
    measure = Measure("recall", value, error, least=0.8)
    assert measure.line().split()[-1] == word
    assert measure.good == (word != "POOR")


def test_both_gates_hold_and_nan_is_poor():
    assert [Measure("x", v, least=1, most=2).good for v in (0.9, 1.5, 2.1)] == [False, True, False]
    assert not Measure("x", np.nan, np.nan, least=1).good and not Measure("x", np.nan, most=1).good
    assert Measure("x", 1e9).good and "[" not in Measure("x", 1e9).line()


def test_large_numbers_are_whole_and_small_ones_short():
    assert "1098 ± 102" in Measure("steps", 1098.4, 101.7).line()
    assert "0.745 ± 0.044" in Measure("recall", 0.7451, 0.0441).line()


def test_errors_of_means_shares_and_ratios():
    rng = np.random.default_rng(0)
    one, other = rng.exponential(6, (2000, 40)), rng.exponential(3, (2000, 90))
    found = [verdict.ratio("r", a, b) for a, b in zip(one, other, strict=True)]
    spread = np.std([measure.value for measure in found])
    assert np.mean([measure.error for measure in found]) == pytest.approx(spread, rel=0.1)
    assert verdict.mean("m", np.array([1.0, 3.0])).error == pytest.approx(1 / 2**0.5)
    half = verdict.share("s", np.array([True, False, True, False]))
    assert (half.value, half.error) == (0.5, 0.25)
    assert not verdict.share("s", np.empty(0, bool), least=0.1).good


def test_report_names_the_first_poor_stage_and_its_first_advice(tmp_path, capsys):
    report = Report(tmp_path)
    report.add(Stage("record", [], text="nothing here"))
    report.add(Stage("V", [Measure("error", 3, most=5, advice="no")], "V.png"))
    measures = [Measure("nll", 1, most=2), Measure("recall", np.nan, least=0.8, advice="yes")]
    report.add(Stage("M", measures))
    report.add(Stage("dream", [Measure("ratio", 9, most=1, advice="later")]))
    assert report.finish() == 1
    printed = capsys.readouterr().out
    assert "record not judged: nothing here" in printed and printed.endswith("mend first: M\n")
    assert "do this: yes" in printed and "do this: no" not in printed
    written = json.loads((tmp_path / "check.json").read_text())
    assert written["mend_first"] == "M"
    assert [stage["good"] for stage in written["stages"]] == [None, True, False, False]
    assert written["stages"][2]["measures"][1]["value"] is None  # NaN


def test_report_without_a_poor_stage_is_good(tmp_path, capsys):
    report = Report(tmp_path)
    report.add(Stage("V", [Measure("error", 3, most=5)]))
    assert report.finish() == 0 and capsys.readouterr().out.endswith("all good: V\n")
