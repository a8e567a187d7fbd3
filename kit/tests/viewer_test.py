"""Windows and videos; the window is a real one, on a virtual screen where there is Xvfb."""

import argparse
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from kit.command.errors import UserError
from kit.show import viewer, virtual_screen
from kit.show.viewer import add_arguments, files, open_viewer

CODE = """
from kit.tensors.tf import tf
tf.matmul(tf.zeros((9, 9)), tf.zeros((9, 9)))
tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros(3))
import numpy as np
from kit.show.viewer import open_viewer
with open_viewer("test", 50) as viewer:
    assert not viewer.held("left")
    pressed, held = set(), 0
    for frame in range(1000):
        open_ = viewer.show(np.full((64, 96, 3), frame % 256, np.uint8))
        pressed |= viewer.pressed
        held += viewer.held("left")
        if not open_:
            break
    print(sorted(pressed), held > 5, frame < 900)
    assert 20 < viewer.fps < 60
"""


@pytest.mark.skipif(virtual_screen.MISSING != "", reason=f"no {virtual_screen.MISSING}")
def test_a_window_beside_tensorflow_sees_keys_and_ends_with_escape(tmp_path):
    (tmp_path / "show.py").write_text(CODE)
    keys = "sleep .3; xdotool keydown Left; sleep .5; xdotool keyup Left key m key Return"
    done = virtual_screen.drive("show.py", [], f"{keys}; sleep .1; xdotool key Escape", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['escape', 'left', 'm', 'return'] True True",
        "windows left: 0",
    ]


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_videos_have_the_frames_that_were_shown(tmp_path, size):
    frames = [np.full((*size, 3), value, np.uint8) for value in (0, 80, 160, 240)]
    paths = [tmp_path / "a.mp4", tmp_path / "a.gif"]
    with open_viewer("test", 10, paths) as videos:
        assert all(videos.show(frame) for frame in frames)
        assert videos.hold(frames[0], 50) and not videos.pressed
    for path in paths:
        read = np.stack(list(imageio.imiter(path)))[..., :3]
        read = read[:, : size[0], : size[1]]  # H.264 has even sizes only
        assert read.shape == (4, *size, 3)
        np.testing.assert_allclose(read.mean((1, 2, 3)), [0, 80, 160, 240], atol=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a.mp4"]


def test_gifs_are_thinned_and_shrunk(tmp_path):
    with open_viewer("test", 36, [tmp_path / "a.gif"]) as viewer:
        for frame in range(36):
            viewer.show(np.full((200, 1000, 3), 5 * frame, np.uint8))
    read = np.stack(list(imageio.imiter(tmp_path / "a.gif")))
    assert read.shape[:3] == (10, 112, 560)


def test_a_video_that_breaks_off_leaves_nothing(tmp_path):
    paths = [tmp_path / "a.mp4", tmp_path / "a.gif"]
    with pytest.raises(ValueError), open_viewer("test", 10, paths) as viewer:
        viewer.show(np.zeros((64, 96, 3), np.uint8))
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_a_video_of_unknown_kind_is_refused():
    with pytest.raises(UserError, match=r"\.mp4 or \.gif, found a\.avi"):
        open_viewer("test", 10, [Path("a.avi")]).__enter__()


@pytest.fixture
def nowhere(monkeypatch):
    """No screen, and nobody has chosen a driver."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_a_screen_nothing_goes_on_unseen(nowhere, tmp_path):
    with pytest.raises(UserError, match=r"^there is no screen .*: --video out\.mp4 shows it in"):
        open_viewer("test", 50).__enter__()
    with pytest.raises(UserError, match=r"^there is no screen .*: to play, start it at a screen"):
        open_viewer("test", 50, advice=viewer.PLAY).__enter__()
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(UserError, match=r"^there is no screen"):
        viewer.check_screen(parser.parse_args([]))
    viewer.check_screen(parser.parse_args(["--video", "a.mp4"]))
    nowhere.setenv("SDL_VIDEODRIVER", "dummy")  # asked for
    viewer.check_screen(parser.parse_args([]))
    with open_viewer("test", 50) as screen:
        assert screen.show(np.zeros((64, 96, 3), np.uint8))


@pytest.mark.skipif(sys.platform != "linux", reason="screens are found otherwise there")
def test_a_screen_that_does_not_answer_is_named(nowhere):
    nowhere.setenv("DISPLAY", ":4711")
    code = "from kit.show.viewer import require_screen, WATCH\nfrom kit.command import cli\n"
    code += "cli.run(lambda: require_screen(WATCH))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "the screen DISPLAY=:4711 does not answer): --video" in done.stderr


def test_flags_name_the_files(capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--video", "a.mp4", "--gif", "b.gif", "--strip", "c.png"])
    assert files(args) == [Path("a.mp4"), Path("b.gif")] and not args.expected
    assert files(parser.parse_args([])) == []
    for wrong, suffix in (("--video", ".mp4"), ("--gif", ".gif"), ("--strip", ".png")):
        with pytest.raises(SystemExit):
            parser.parse_args([wrong, "a.avi"])
        assert f"expected a name in {suffix}, found 'a.avi'" in capsys.readouterr().err
