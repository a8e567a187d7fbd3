"""The notebooks: clean in git, and executed with what they draw checked against its source."""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import numpy as np
import pytest
from running import HERE, execute, picture_count, printed

from estool import evolve
from estool.study import toy
from kit.command import cli, mpi

NOTEBOOKS = ("plot_training_progress.ipynb", "vae_test.ipynb", "simple_es_example.ipynb")

# What the last cell of each executed notebook hands to the test.
CURVES = """
import json, sys
def lines(figure):
    axes, = figure.axes
    drawn = [(line.get_label(), line.get_xydata().tolist()) for line in axes.get_lines()]
    return {"size": list(figure.get_size_inches()), "lines": drawn, "xlabel": axes.get_xlabel()}
with open(RESULT, "w") as file:
    json.dump([sys.prefix, lines(by_hours), lines(by_generation)], file)
"""


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_outputs_in_git_and_a_text_before_every_cell(name):
    notebook = nbformat.read(HERE / name, 4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown"
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert [cell.id for cell in notebook.cells if cell.metadata.get("tags")] == ["parameters"]


def make_log(folder, game):
    """Evolve five numbers for 6 generations; half an hour each, says the log. Returns its base."""
    parser = cli.parser("")
    evolve.add_arguments(parser)
    flags = ["-n", "1", "--population", "6", "-e", "3", "--eval_steps", "2", "--seed_start", "5"]
    args = cli.parse(parser, argv=[*flags, "--generations", "6", "--directory", str(folder)])
    evolve.run(args, mpi.Ranks(), game, 5, toy.make_rollouts(0, None))
    base = folder / "log" / f"{game}.cma.3.6"
    for suffix in (".hist.json", ".hist_best.json"):
        path = base.with_name(base.name + suffix)
        rows = [[row[0], 1800 * row[0], *row[2:]] for row in json.loads(path.read_text())]
        path.write_text(json.dumps(rows))
    return base


@pytest.mark.parametrize(
    ("game", "requirement"),
    [("carracing", 900), ("doomrnn", None), ("BipedalWalker-v3", 300), ("Ant-v5", None)],
)
def test_training_progress_draws_the_log(tmp_path, game, requirement):
    base = make_log(tmp_path, game)
    parameters = {"BASE": str(base), "RESULT": str(tmp_path / "result.json")}
    notebook = execute(NOTEBOOKS[0], tmp_path, parameters, CURVES)
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 2
    prefix, by_hours, by_generation = json.loads((tmp_path / "result.json").read_text())
    assert Path(prefix).samefile(sys.prefix)

    rows = json.loads((tmp_path / "log" / f"{base.name}.hist.json").read_text())
    evaluations = json.loads((tmp_path / "log" / f"{base.name}.hist_best.json").read_text())
    scores = [row[5] for row in evaluations]
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row[0] for row in evaluations] == [2, 4, 6]
    for figure, label, unit in ((by_hours, "hours", 0.5), (by_generation, "generation", 1)):
        every, each = [unit * row[0] for row in rows], [unit * row[0] for row in evaluations]
        expected = {
            "mean": list(zip(every, [row[2] for row in rows], strict=True)),
            "min": list(zip(every, [row[3] for row in rows], strict=True)),
            "max": list(zip(every, [row[4] for row in rows], strict=True)),
            "evaluation of the mean": list(zip(each, scores, strict=True)),
            "running best": list(zip(each, np.maximum.accumulate(scores), strict=True)),
        }
        drawn = dict(figure["lines"])
        level = drawn.pop("requirement", None)
        assert list(drawn) == list(expected)
        for name, points in expected.items():
            np.testing.assert_allclose(drawn[name], points, atol=1e-9, err_msg=name)
        assert (level and [y for _, y in level]) == (requirement and [requirement, requirement])
        assert figure["xlabel"] == label and figure["size"] == [16, 10]

    for suffix, label in ((".wall.svg", "hours"), (".svg", "generation")):
        path = tmp_path / "log" / f"{base.name}{suffix}"
        root = ElementTree.parse(path).getroot()
        width, height = (float(root.get(name).removesuffix("pt")) for name in ("width", "height"))
        assert abs(width - 16 * 72) < 30 and abs(height - 10 * 72) < 30
        legend = [*expected, "requirement"][: 5 + (requirement is not None)]
        comments = re.findall("<!-- (.*?) -->", path.read_text())
        assert set(legend) | {base.name, label, "reward"} <= set(comments)
    assert "6 generations in 3.00 hours\n" in printed(notebook)
    best = int(np.argmax(scores))
    assert f"best of 3 evaluations: {scores[best]:.1f} at {2 * best + 2}\n" in printed(notebook)


EVOLUTION = """
import json
import os
def curves(axes):
    return {line.get_label(): list(map(float, line.get_ydata())) for line in axes.get_lines()}
points = [axes.get_lines()[1].get_xydata().tolist() for axes in figure_strip.axes]
with open(RESULT, "w") as file:
    json.dump([curves(figure_curves.axes[0]), points, SLICE.tolist()], file)
"""


def test_the_strategies_climb_and_are_drawn(tmp_path):
    parameters = {"SIZE": 20, "POPULATION": 41, "GENERATIONS": 400}
    parameters["RESULT"] = str(tmp_path / "result.json")
    notebook = execute("simple_es_example.ipynb", tmp_path, parameters, EVOLUTION)
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 3
    curves, points, slice_ = json.loads((tmp_path / "result.json").read_text())
    assert curves.pop("optimum") == [0, 0]
    assert list(curves) == ["genetic algorithm", "OpenAI-ES", "PEPG", "CMA-ES"]
    for name, values in curves.items():
        assert len(values) == 400 and values[0] < -1800 and -200 < values[-1] <= 0
        assert f"{name:17}  {values[-1]:8.1f} after 400 generations\n" in printed(notebook)
    clouds = np.array(points)
    assert clouds.shape == (4 * 6, 41, 2)
    for row in clouds.reshape(4, 6, 41, 2):
        centres = row.mean(1)
        assert np.abs(centres[0]).max() < 1 and np.abs(centres[-1] - 10).max() < 3
    top = np.unravel_index(np.argmax(slice_), np.shape(slice_))
    np.testing.assert_allclose(np.linspace(-4, 20, 481)[list(top)], 10)


def test_a_missing_log_is_a_sentence(tmp_path):
    notebook = execute(NOTEBOOKS[0], tmp_path, {"BASE": str(tmp_path / "log" / "car.cma.1.2")})
    assert f"There is no {tmp_path}/log/car.cma.1.2.hist.json: set BASE" in str(notebook.metadata)
    errors = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert [(out.output_type, len(out.traceback)) for out in errors] == [("error", 1)]
    assert "Traceback" not in errors[0].traceback[0]
    assert not (tmp_path / "log").exists()
