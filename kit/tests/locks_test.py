"""Locks: one process at a time, and nothing left over from the dead."""

import subprocess
import sys

import pytest

from kit.command import locks
from kit.command.errors import UserError
from kit.files.atomic import atomic_path


def test_a_lock_is_refused_while_it_is_held_and_ends_with_its_process(tmp_path, monkeypatch):
    code = (
        "import sys, time\nfrom kit.command import locks\n"
        "with locks.only_one(sys.argv[1]): print(1, flush=True); time.sleep(60)"
    )
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with (
            pytest.raises(UserError, match=f"is in use by process {other.pid} on "),
            locks.only_one(tmp_path),
        ):
            pass
        with locks.only_one(tmp_path, "of-another-name"):
            pass
        other.kill()
    with locks.only_one(tmp_path):
        assert (tmp_path / ".work.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_the_dead_are_swept_and_the_living_keep_theirs(tmp_path):
    dead = tmp_path / f"{locks.PREFIX}dead"
    dead.mkdir()
    (dead / "half.npz").write_bytes(b"x")
    with atomic_path(tmp_path / "whole.txt") as temporary:
        temporary.write_text("whole")
        locks.sweep(tmp_path)
        assert temporary.exists() and not dead.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["whole.txt"]
