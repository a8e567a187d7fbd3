"""Tables of trainings, by scripts that pretend: what is done once, and what is refused."""

import json
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest

from estool.study import variants
from estool.study.variants import CONTROLLER, Place, Variant
from kit.command.errors import UserError

TRAIN = """
    import json, pathlib, sys
    flag = {a: b for a, b in zip(sys.argv, sys.argv[1:]) if a.startswith("-")}
    if flag["--luck"] == "bad":
        sys.exit(2)
    if flag["--luck"] == "ctrl-c":
        sys.exit(130)
    log = pathlib.Path(flag["--directory"], "log")
    log.mkdir(parents=True, exist_ok=True)
    count = int(flag["--generations"])
    rows = [[g + 1, 36 * (g + 1), 0, 0, 0, 0, 0.1, 11.0, 12] for g in range(count)]
    settings = {"population": 3, "num_episode": 2, "num_params": 5}
    for name, value in (("hist", rows), ("settings", settings), ("best", [[count], 1.0])):
        (log / f"game.cma.2.3.{name}.json").write_text(json.dumps(value))
    pathlib.Path("calls").open("a").write(f"train {flag.get('-n')}\\n")
"""
MODEL = """
    import json, pathlib, sys
    flag = {a: b for a, b in zip(sys.argv, sys.argv[1:]) if a.startswith("-")}
    value = json.loads(pathlib.Path(sys.argv[1]).read_text())[0][0]
    text = f"trial,seed,reward,steps\\n0,0,{value},1\\n1,1,{value + 2},1\\n"
    pathlib.Path(flag["--csv"]).write_text(text)
    pathlib.Path("calls").open("a").write("score\\n")
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(textwrap.dedent(TRAIN))
    (tmp_path / "model.py").write_text(textwrap.dedent(MODEL))
    (tmp_path / "vae.json").write_text("1")
    return Place(tmp_path, tmp_path / "table", 4, 2)


def rows(place, luck="good"):
    scores = {"real": [CONTROLLER, "norender"]}
    return [Variant(name, ["--luck", luck], scores, [place.room / "vae.json"]) for name in "ab"]


def calls(place):
    path = place.room / "calls"
    found = path.read_text().splitlines()
    path.write_text("")
    return found


def test_every_row_is_trained_and_scored_once(place):
    results = variants.run(rows(place), place)
    assert calls(place) == ["train 2", "score", "train 2", "score"]
    assert results["a"]["training"] == {
        "parameters": 5,
        "generations": 4,
        "hours": 0.04,
        "steps": 4 * 10 * 6,
    }
    expected = {"mean": 5, "stdev": 1, "stderr": 0.5**0.5, "median": 5, "episodes": 2}
    assert results["b"]["real"] == pytest.approx(expected)
    assert json.loads((place.folder / "results.json").read_text()) == results
    assert variants.run(rows(place), place) == results and calls(place) == []


def test_more_generations_carry_the_table_on(place):
    variants.run(rows(place), place)
    calls(place)
    longer = Place(place.room, place.folder, 6)
    results = variants.run(rows(place), longer)
    assert calls(place) == ["train None", "score", "train None", "score"]
    assert results["a"]["real"]["mean"] == 7


def test_another_variant_does_not_mix_in(place):
    variants.run(rows(place), place)
    with pytest.raises(UserError, match="other flags or other weights"):
        variants.run(rows(place, "better"), place)
    (place.room / "vae.json").write_text("2")
    with pytest.raises(UserError, match="other flags or other weights"):
        variants.run(rows(place), place)
    (place.room / "vae.json").unlink()
    with pytest.raises(UserError, match=r"vae\.json"):
        variants.run(rows(place), place)


def test_a_script_that_fails_ends_the_table(place):
    with pytest.raises(UserError, match=r"train\.py ended with status 2"):
        variants.run(rows(place, "bad"), place)
    other = Place(place.room, place.room / "other", 4)
    with pytest.raises(KeyboardInterrupt):
        variants.run(rows(place, "ctrl-c"), other)


def test_a_table_that_is_ended_ends_its_training(place):
    train = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid()))"
    (place.room / "train.py").write_text(train + "; time.sleep(60)")
    code = (
        "from pathlib import Path; from kit.command import cli\n"
        "from estool.study import variants as v; here = Path('.')\n"
        "cli.run(lambda: v.run([v.Variant('a', [], {})], v.Place(here, here / 'table', 4)))"
    )
    pid = place.room / "pid"
    with subprocess.Popen([sys.executable, "-c", code], cwd=place.room) as table:
        while not (pid.is_file() and pid.read_text()):
            assert table.poll() is None
            time.sleep(0.05)
        table.terminate()
        assert table.wait(30) == 130
    assert not psutil.pid_exists(int(pid.read_text()))


def test_statistics_and_cells():
    values = variants.statistics(np.array([100.0, 300.0, 500.0, 300.0]))
    assert variants.cell(values) == "300 ± 141 (71)"


def test_table_is_markdown(tmp_path):
    text = variants.write_table(tmp_path / "t.md", ["a", "b"], [["1", "2"]])
    assert text == "| a | b |\n| --- | --- |\n| 1 | 2 |\n" == (tmp_path / "t.md").read_text()
