"""The replay: files as the original writes them, what is drawn from them, and damage."""

import re

import numpy as np
import pytest

from dreamerv2.replay import Replay, require_memory
from kit.command.errors import UserError


def episode(steps, value=0, terminal=True, **more):
    """An episode whose images and rewards say which row of which episode they are."""
    rows = steps + 1
    last = np.arange(rows) == steps
    return {
        "image": np.full((rows, 4, 4, 1), value, np.uint8),
        "action": np.eye(2, dtype=np.float32)[np.arange(rows) % 2],
        "reward": (100 * value + np.arange(rows)).astype(np.float32),
        "is_first": np.arange(rows) == 0,
        "is_last": last,
        "is_terminal": last & terminal,
        **more,
    }


def fill(folder, lengths, **options):
    replay = Replay(folder, **options)
    for value, steps in enumerate(lengths):
        replay.add_episode(episode(steps, value))
    return replay


def test_files_have_the_originals_names_keys_and_types(tmp_path):
    fill(tmp_path, [7])
    (path,) = tmp_path.glob("*.npz")
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{32}-7\.npz", path.name)
    with np.load(path, allow_pickle=False) as file:
        found = {key: (file[key].dtype.name, file[key].shape) for key in file.files}
    assert found == {
        "image": ("uint8", (8, 4, 4, 1)),
        "action": ("float32", (8, 2)),
        "reward": ("float32", (8,)),
        "is_first": ("bool", (8,)),
        "is_last": ("bool", (8,)),
        "is_terminal": ("bool", (8,)),
    }


def test_steps_are_counted_exactly_however_often_it_starts_anew(tmp_path):
    assert fill(tmp_path, [7, 1, 30]).stats["total_steps"] == 38
    again = Replay(tmp_path)
    assert again.stats == {
        "total_steps": 38,
        "total_episodes": 3,
        "loaded_steps": 38,
        "loaded_episodes": 3,
    }


def test_capacity_leaves_out_the_oldest_and_still_counts_them(tmp_path):
    replay = fill(tmp_path, [10, 10, 10], capacity=20)
    assert replay.stats["total_steps"] == 30 and replay.stats["loaded_steps"] == 20
    drawn = {int(image) for image in replay.batch(200, 5)["image"].ravel()}
    assert drawn == {1, 2}


def test_what_is_beyond_memory_comes_from_the_disk(tmp_path):
    size = sum(value.nbytes for value in episode(10).values())
    replay = fill(tmp_path, [10] * 6, memory_bytes=2.5 * size)
    drawn = {int(image) for image in replay.batch(300, 5)["image"].ravel()}
    assert drawn == set(range(6))
    assert replay._held._bytes <= 2.5 * size and len(replay._held._episodes) == 2


def test_sequences_are_rows_that_follow_each_other(tmp_path):
    batch = fill(tmp_path, [40, 50], minlen=5, maxlen=8).batch(50, 16)
    assert batch["image"].shape == (50, 16, 4, 4, 1) and batch["action"].shape == (50, 16, 2)
    follows = ~batch["is_first"][:, 1:]
    steps = np.diff(batch["reward"], axis=1)
    assert (steps[follows] == 1).all() and (steps[~follows] != 1).any()
    assert batch["is_first"][:, 0].all()


def test_short_episodes_are_drawn_whole_into_chunks_that_cross_their_borders(tmp_path):
    batch = fill(tmp_path, [3, 3], minlen=16, maxlen=16).batch(50, 16)
    assert batch["is_last"].sum() > 50 * 3
    starts = batch["is_first"][:, 1:]
    assert (batch["reward"][:, 1:][starts] % 100 == 0).all()  # each begins at its reset
    assert batch["is_last"][:, :-1][starts].all()  # and after another's end


def test_no_row_of_a_short_episode_is_left_out(tmp_path):
    batch = fill(tmp_path, [5, 9], minlen=4, maxlen=4).batch(300, 4)
    assert set(batch["reward"].ravel()) == {*range(6), *range(100, 110)}


def test_ends_are_drawn_more_often_if_asked_to(tmp_path):
    shares = {}
    for prioritize in (False, True):
        replay = fill(
            tmp_path / str(prioritize), [200], minlen=20, maxlen=20, prioritize_ends=prioritize
        )
        shares[prioritize] = replay.batch(600, 20)["is_last"].any(1).mean()
    assert shares[False] < 0.03  # one start of 182
    assert 0.06 < shares[True] < 0.15  # 21 of 202


def test_logged_keys_are_stored_and_not_drawn(tmp_path):
    replay = Replay(tmp_path)
    replay.add_episode(episode(5, log_score=np.ones(6, np.float32)))
    assert "log_score" not in replay.batch(1, 3)
    (path,) = tmp_path.glob("*.npz")
    assert "log_score" in np.load(path).files


def test_ongoing_episodes_are_drawn_if_asked_to(tmp_path):
    rows = {key: list(value[:-1]) for key, value in episode(20, 7).items()}
    for ongoing in (False, True):
        replay = fill(tmp_path / str(ongoing), [20], ongoing=ongoing, minlen=5, maxlen=5)
        replay.unfinished = {0: rows, 1: {key: value[:2] for key, value in rows.items()}}
        drawn = {int(image) for image in replay.batch(100, 5)["image"].ravel()}
        assert drawn == ({0, 7} if ongoing else {0})


def test_a_seed_fixes_what_is_drawn(tmp_path):
    fill(tmp_path, [30, 40])
    one, same, other = (Replay(tmp_path, seed=seed).batch(9, 9)["reward"] for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(UserError, match="expected episodes"):
        Replay(tmp_path).batch(1, 1)


def damaged(folder):
    """Files of every kind of damage -> what is said of each."""
    fill(folder, [9])
    whole = next(folder.glob("*.npz")).read_bytes()
    cases = {
        "a-1-9.npz": (whole[: len(whole) // 2], "zip"),
        "b-1-9.npz": (b"", "No data|EOF"),
        "c-1-nine.npz": (whole, "name"),
        "d-1-8.npz": (whole, r"expected \w+ \(9,"),
    }
    for name, (content, _) in cases.items():
        (folder / name).write_bytes(content)
    broken = episode(9)
    for name, changed, words in (
        ("e-1-9.npz", {"reward": np.full(10, np.nan, np.float32)}, "NaN"),
        ("f-1-9.npz", {"image": np.zeros((10, 8, 8, 1), np.uint8)}, r"expected image \(10, 4, 4"),
        ("g-1-9.npz", {"reward": np.array([None] * 10)}, "pickle|Object"),
        ("i-1-9.npz", {"action": np.zeros((10, 7), np.float32)}, r"expected action \(10, 2"),
        ("j-1-9.npz", {"reward": np.zeros((10, 1), np.float32)}, r"expected reward \(10,\)"),
    ):
        np.savez(folder / name, **broken | changed)
        cases[name] = (b"", words)
    del broken["is_terminal"]
    np.savez(folder / "h-1-9.npz", **broken)
    cases["h-1-9.npz"] = (b"", "expected is_terminal in it")
    return {name: words for name, (_, words) in cases.items()}


def test_damaged_files_are_skipped_counted_and_named(tmp_path, capsys):
    cases = damaged(tmp_path)
    capsys.readouterr()
    replay = Replay(tmp_path, expected={"image": (4, 4, 1), "action": (2,)})
    said = capsys.readouterr().out
    for name, words in cases.items():
        assert re.search(rf"skipped damaged episode .*{re.escape(name)} \(.*({words})", said), name
    assert replay.damaged == len(cases) and len(replay) == 1
    assert replay.batch(5, 5)["reward"].max() <= 9


def test_its_memory_is_said_and_refused_before_the_start():
    assert require_memory(10_000, 100_000, 5e8) == (
        "Replay: 10 kB a step, at most 0.5 GB in memory, 1 GB in files before compression."
    )
    with pytest.raises(UserError, match=r"the replay needs about .* smaller --replay_gb"):
        require_memory(10_000, 0, 1e15)
