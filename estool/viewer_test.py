"""Windows and videos; the window is a real one, on a virtual screen where there is Xvfb."""

import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from estool.errors import UserError
from estool.viewer import open_viewer

CODE = """
from estool.tf import tf
tf.matmul(tf.zeros((9, 9)), tf.zeros((9, 9)))
tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros(3))
import numpy as np
from estool.viewer import open_viewer
with open_viewer("test", 30) as viewer:
    print([viewer.show(np.full((64, 96, 3), value, np.uint8)) for value in (0, 255)])
"""


@pytest.mark.skipif(not shutil.which("xvfb-run"), reason="there is no xvfb-run")
def test_a_window_opens_beside_tensorflow():
    command = ["xvfb-run", "-a", "env", "-u", "SDL_VIDEODRIVER", sys.executable, "-c", CODE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[True, True]\n", done.stderr


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_video_has_the_frames_that_were_shown(tmp_path, name):
    frames = [np.full((64, 96, 3), value, np.uint8) for value in (0, 80, 160, 240)]
    with open_viewer("test", 10, tmp_path / name) as viewer:
        assert all(viewer.show(frame) for frame in frames)
    read = np.stack(list(imageio.imiter(tmp_path / name)))[..., :3]
    assert read.shape == (4, 64, 96, 3)
    np.testing.assert_allclose(read.mean((1, 2, 3)), [0, 80, 160, 240], atol=4)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_video_that_breaks_off_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), open_viewer("test", 10, tmp_path / "a.mp4") as viewer:
        viewer.show(np.zeros((64, 96, 3), np.uint8))
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_a_video_of_unknown_kind_is_refused():
    with pytest.raises(UserError, match=r"\.mp4 or \.gif"), open_viewer("test", 10, Path("a.avi")):
        pass
