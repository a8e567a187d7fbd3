"""Human play: keys in a real window on a virtual screen, recordings, and what the keys mean."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kit.files.recordings import Recordings
from kit.show import virtual_screen

import play
from env import make

ROOM = Path(__file__).parents[1]


class Keys:
    """A window in which these keys are down, and these were pressed in each frame."""

    fps = 50.0

    def __init__(self, held=(), pressed=()):
        self._held, self._coming, self.pressed = held, list(pressed), frozenset()
        self.pictures = []

    def held(self, key):
        return key in self._held

    def show(self, picture):
        self.pictures.append(picture)
        self.pressed = frozenset(self._coming.pop(0) if self._coming else ())
        return "escape" not in self.pressed

    def hold(self, picture, frames):
        return self.show(picture)


@pytest.mark.parametrize(
    ("held", "action"),
    [
        ((), [0, 0, 0]),
        (("left", "up"), [-1, 1, 0]),
        (("right", "down"), [1, 0, 0.8]),
        (("left", "right"), [0, 0, 0]),
    ],
)
def test_keys_become_actions(held, action):
    found = play.held_action(Keys(held))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, action)


@pytest.fixture(scope="module")
def env():
    result = make("fast", render_mode="rgb_array")
    yield result
    result.close()


def test_enter_starts_the_same_track_again_and_escape_ends(env, tmp_path, capsys):
    enter = Keys(["up"], [(), (), (), ("return",)])
    assert play.play_episode(env, enter, 3, np.inf, tmp_path) == (True, 3, False)
    escape = Keys(["up"], [(), ("escape",)])
    assert play.play_episode(env, escape, 3, np.inf, tmp_path) == (False, 1, False)
    assert play.play_episode(env, Keys(), 3, 5, tmp_path) == (True, 5, False)
    assert "track 3 score" in capsys.readouterr().out
    assert (enter.pictures[0] == escape.pictures[0]).all()
    assert {picture.shape for picture in enter.pictures} == {(492, 1120, 3)}


def test_an_episode_has_an_end_that_is_shown(env, tmp_path, monkeypatch):
    keys = Keys(["up"])
    monkeypatch.setattr(env, "_max_episode_steps", 4)
    assert play.play_episode(env, keys, 3, np.inf, tmp_path) == (True, 4, True)
    assert len(keys.pictures) == 6  # the first, one a step, and the last once more with its verdict


def test_recordings_hold_each_frame_before_its_action_and_overwrite_nothing(env, tmp_path):
    frame, _ = env.reset(seed=3)
    expected = [frame]
    for _ in range(5):
        expected.append(env.step(np.float32([-1, 1, 0]))[0])
    for _ in range(2):  # off after 4 frames, on again for 2, and both once more
        keys = Keys(["left", "up"], [("r",), (), (), (), ("r",), ("r",), (), ("escape",)])
        play.play_episode(env, keys, 3, np.inf, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["3-1.npz", "3-2.npz", "3-3.npz", "3-4.npz"]
    source = Recordings(tmp_path, (3,))
    for name, start, count in (("3-1.npz", 0, 4), ("3-2.npz", 5, 2), ("3-3.npz", 0, 4)):
        frames, actions = source.load(tmp_path / name)
        assert len(frames) == count and actions.dtype == np.float16
        np.testing.assert_array_equal(actions, np.tile([-1, 1, 0], (count, 1)))
        np.testing.assert_array_equal(frames[0], expected[start])


@pytest.mark.skipif(virtual_screen.MISSING != "", reason=f"no {virtual_screen.MISSING}")
def test_driving_with_real_keys_in_a_real_window(tmp_path):
    keys = "xdotool key r keydown Up keydown Left; sleep 1; xdotool keyup Left; sleep 1"
    keys += "; xdotool key r keyup Up key Return; sleep .5; xdotool key Escape"
    arguments = ("--seed", "3", "--record", str(tmp_path))
    done = virtual_screen.drive("env.py", arguments, keys, ROOM)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (0, "windows left: 0"), done.stderr
    assert [line.split()[:2] for line in lines if "score" in line] == [["track", "3"]] * 2
    frames, actions = Recordings(tmp_path, (3,)).load(tmp_path / "3-1.npz")
    assert f"recorded {len(frames)} frames in {tmp_path}/3-1.npz" in lines
    assert set(np.unique(actions[:, 0])) == {-1, 0} and actions[:, 1].mean() > 0.9


@pytest.mark.parametrize(("driver", "status"), [("dummy", 0), ("nowhere", 2)])
def test_playing_without_a_screen(driver, status):
    command = [sys.executable, "env.py", "--seed", "3", "--steps", "201"]
    environment = {**os.environ, "SDL_VIDEODRIVER": driver}
    done = subprocess.run(command, cwd=ROOM, env=environment, capture_output=True, text=True)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    if status:
        assert "no window can be opened" in done.stderr
    else:
        lines = done.stdout.splitlines()
        assert lines[0] == "action +0.00 +0.00 +0.00"
        assert lines[1].startswith("step 200 total_reward -1")
        assert lines[2].startswith("track 3 score -1") and lines[2].endswith(" steps 201")
