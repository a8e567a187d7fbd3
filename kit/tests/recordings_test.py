"""Recordings: what is written is read, in an order that can be continued; bad ones are skipped."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from kit.command.errors import UserError
from kit.files import recordings
from kit.files.recordings import Recordings


@pytest.fixture
def folder(tmp_path):
    """Nine recordings of 11 to 19 frames; every frame is filled with another number."""
    number = 0
    for index in range(9):
        count = 11 + index
        frames = np.zeros((count, 64, 64, 3), np.uint8)
        frames[:] = np.arange(number, number + count)[:, None, None, None]
        number += count
        actions = np.linspace(-1, 1, count).astype(np.float16)
        recordings.save(tmp_path / f"{index}.npz", obs=frames, action=actions)
    return tmp_path


def first_batches(folder, count, position=(0, 0, 0), seed=3):
    source = Recordings(folder, ())
    made = source.batches(source.paths, batch=5, files=2, seed=seed, position=list(position))
    return [(frames[:, 0, 0, 0].tolist(), after) for frames, after in itertools.islice(made, count)]


def test_a_saved_recording_is_what_numpy_load_reads(folder):
    with np.load(folder / "2.npz", allow_pickle=False) as file:
        assert file["obs"].shape == (13, 64, 64, 3) and file["obs"].dtype == np.uint8
        assert file["action"].dtype == np.float16 and file["action"][0] == -1


@pytest.mark.parametrize("save", ["save", "save_arrays"])
def test_sigterm_while_a_file_is_packed_is_a_sentence_and_leaves_nothing(tmp_path, save):
    code = (
        "import os, zipfile, numpy as np; from kit.command import cli\n"
        "from kit.files import recordings\n"
        "compressor = zipfile._get_compressor\n"
        "def interrupt(*a): os.kill(os.getpid(), 15); return compressor(*a)\n"
        "zipfile._get_compressor = interrupt\n"
        f"cli.run(lambda: recordings.{save}('a.npz', one=np.ones(3), two=np.zeros(2)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "-c: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_pass_holds_no_frame_twice(folder):
    seen = [
        frame for frames, after in first_batches(folder, 24) if after[0] == 0 for frame in frames
    ]
    assert len(seen) >= 110  # of 135; what a part leaves over a whole batch is left out
    assert len(set(seen)) == len(seen)


def test_batches_continue_from_any_position(folder):
    whole = first_batches(folder, 60)
    for done in (1, 7, 23, 41):
        assert first_batches(folder, 60 - done, whole[done - 1][1]) == whole[done:]


def test_another_seed_or_pass_has_another_order(folder):
    batches = first_batches(folder, 60)
    assert batches[0][0] != first_batches(folder, 1, seed=4)[0][0]
    second = next(frames for frames, after in batches if after[0] == 1)
    assert second != batches[0][0]


def test_damaged_recordings_are_skipped_and_named_once(folder, capsys):
    whole = (folder / "3.npz").read_bytes()
    (folder / "3.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "4.npz").write_bytes(b"")
    frames = np.zeros((5, 64, 64, 3), np.uint8)
    recordings.save(folder / "5.npz", obs=frames, action=np.full(5, np.nan, np.float16))
    recordings.save(folder / "6.npz", obs=frames.astype(np.float32), action=np.zeros(5, np.float16))
    recordings.save(folder / "7.npz", obs=frames, action=np.zeros((5, 3), np.float16))
    source = Recordings(folder, ())
    for _ in range(2):
        good = [path.name for path in source.paths if source.load(path) is not None]
    assert good == ["0.npz", "1.npz", "2.npz", "8.npz"]
    assert source.skipped == {folder / f"{n}.npz" for n in (3, 4, 5, 6, 7)}
    assert capsys.readouterr().out.count("skipped damaged recording") == 5


def test_several_folders_are_mixed_by_name_and_limited_one_by_one(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name in ("0", "25", "7"):
        (other / f"{name}.npz").write_bytes((folder / "2.npz").read_bytes())
    expected = [folder / "0.npz", other / "0.npz", folder / "1.npz", other / "25.npz"]
    assert Recordings([folder, other], (), 2).paths == expected
    with pytest.raises(UserError, match="nowhere: expected recordings"):
        Recordings([folder, folder / "nowhere"], ())


def test_an_empty_folder_and_too_few_frames_are_said(folder, tmp_path_factory):
    with pytest.raises(UserError, match="found none"):
        Recordings(tmp_path_factory.mktemp("empty"), ())
    source = Recordings(folder, ())
    with pytest.raises(UserError, match="at least 100 frames"):
        next(source.batches(source.paths, 100, 2, 0, [0, 0, 0]))


def test_held_out_frames_are_of_the_last_recordings_only(folder):
    training, held_out = Recordings(folder, ()).split(1, 2000, seed=0)
    assert [path.name for path in training] == [f"{n}.npz" for n in range(8)]
    assert sorted(held_out[:, 0, 0, 0]) == list(range(116, 135))
