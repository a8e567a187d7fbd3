"""The short version of faults.py: one of each, at a fixed seed; and what the tools under it do."""

import sys
import time

import numpy as np
import pytest

from kit.command.errors import UserError

import anyenv_files
import bad_files
import bad_flags
import dreamerv2_files
import interruptions
import processes
import refusals
import surroundings
from faults import Tally, catalogue


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    return interruptions.Rooms(tmp_path_factory.mktemp("rooms"))


def stage(name):
    return next(one for one in interruptions.stages() if one.name == name)


@pytest.mark.parametrize("name", ["doomrnn extract.py", "estool toy.py", "dreamerv2 train.py"])
def test_interrupted_and_started_again_it_ends_with_the_same_files(rooms, tmp_path, name):
    outcome = interruptions.run(stage(name), rooms, np.random.default_rng(3), tmp_path, most=3)
    assert outcome.faults == []
    assert sum(outcome.tried.values()) > 0


def test_an_orphan_a_leftover_and_a_traceback_are_seen(tmp_path):
    code = (
        "import os, subprocess, tempfile\n"
        "subprocess.Popen(['sleep', '60'])\n"
        "tempfile.mkstemp(prefix='left-')\n"
        "raise ValueError('a fault')"
    )
    command = interruptions.Command(["python", "-c", code], tmp_path)
    command.process.wait()
    faults = command.wait(patience=0.5).faults
    assert [fault.split()[0] for fault in faults] == ["orphan:", "a", "left"]
    assert not command.family()


@pytest.mark.parametrize("seed", range(3))
def test_an_odd_number_for_a_flag(rooms, tmp_path, seed, monkeypatch):
    light = [entry for entry in bad_flags.scripts() if "toy.py" in entry[0][1]]
    monkeypatch.setattr(bad_flags, "scripts", lambda: light)
    outcome = bad_flags.flags(rooms, np.random.default_rng(seed), tmp_path)
    assert outcome.given and outcome.faults == []


@pytest.mark.parametrize("words", ["vae_train.py --record nowhere", "--foo 1", "dance"])
def test_a_refusal_of_each_room_leaves_nothing_behind(rooms, tmp_path, words, monkeypatch):
    (chosen,) = [entry for entry in bad_flags.WRONG if words in " ".join(entry[0])]
    monkeypatch.setattr(bad_flags, "WRONG", [chosen])
    outcome = bad_flags.combinations(rooms, np.random.default_rng(0), tmp_path)
    assert outcome.given and outcome.faults == []


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_config_of_anyenv(rooms, tmp_path, seed):
    outcome = anyenv_files.configs(rooms, np.random.default_rng(seed), tmp_path)
    assert outcome.given and outcome.faults == []


@pytest.mark.parametrize("kind", ["episodes", "files", "settings"])
def test_bad_episodes_files_and_settings_of_dreamerv2(rooms, tmp_path, kind):
    function = getattr(dreamerv2_files, kind)
    outcome = function(rooms, np.random.default_rng(4), tmp_path)
    assert outcome.given and outcome.faults == []


def test_what_may_only_grow_is_missed_when_it_is_gone(tmp_path):
    def state(folder, status, before):
        return {"episodes": set(range(status)), "steps": status}, []

    watched = stage("dreamerv2 train.py").__class__("a", [], dict, watch=state)
    kept, faults = interruptions.watch(watched, tmp_path, 3, {})
    assert faults == [] and interruptions.watch(watched, tmp_path, 4, kept)[1] == []
    lost = interruptions.watch(watched, tmp_path, 2, kept)[1]
    assert lost == ["some of the episodes are gone", "some of the steps are gone"]


def test_a_torn_history(rooms, tmp_path):
    outcome = bad_files.histories(rooms, np.random.default_rng(0), tmp_path)
    assert outcome.given and outcome.faults == []


def test_a_refusal_needs_one_sentence_that_names_the_file():
    good = processes.Ended(2, "training: 0%\nx.py: a.json is bad\n", [])
    assert refusals.refused(good, "a.json") == []
    other = processes.Ended(2, "run.py eval: argument --seed: expected a number\n", [])
    assert refusals.refused(other, "--seed") == []
    for status, output in ((1, good.output), (2, "x.py: bad\n"), (2, good.output * 2)):
        assert refusals.refused(processes.Ended(status, output, []), "a.json")


@pytest.mark.parametrize("name", ["a full disk", "no VizDoom", "a rank that hangs"])
def test_surroundings(rooms, tmp_path, name, monkeypatch):
    monkeypatch.setattr(surroundings, "FILLED", ["estool toy.py"])
    tried, faults = surroundings.KINDS[name](rooms, np.random.default_rng(0), tmp_path)
    assert faults == []
    if not tried:
        pytest.skip("not permitted here")


def test_counts_of_several_runs_add_up_to_one_table(tmp_path):
    tally = Tally()
    tally.runs.append("one")
    tally.add("interrupted: a", "Ctrl-C", 2)
    tally.save(tmp_path / "counts.json")
    tally = Tally()
    tally.runs.append("another")
    tally.merge(tmp_path / "counts.json")
    tally.add("interrupted: a", "kill -9", 3)
    tally.add("bad input: b", "given", 4)
    tally.failed["bad input: b"] += 1
    lines = tally.table().splitlines()
    assert "| a | 2 | 0 | 3 | 0 | 5 | 0 |" in lines and "| bad input: b | 4 | 1 |" in lines
    assert len({name for name, _, _ in catalogue()}) == len(catalogue())
    with pytest.raises(UserError, match=r"counts\.json: the run one is counted already"):
        tally.merge(tmp_path / "counts.json")
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(UserError, match=r"other\.json: expected counts"):
        tally.merge(tmp_path / "other.json")


def test_a_process_that_was_started_by_a_script_ends_with_it(tmp_path):
    """kill -9 of the script: what it started says goodbye within seconds."""
    script = tmp_path / "jobs.bash"
    code = "import time; from kit.command import cli; cli.run(lambda: time.sleep(60))"
    script.write_text(f"export ESTOOL_PARENT=$$\n{sys.executable} -c '{code}'\n")
    command = interruptions.Command(["bash", str(script)], tmp_path)
    end = time.monotonic() + 30
    while len(command.family()) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    command.process.kill()
    assert command.wait().faults == []
