"""Where a player stands in the real game, and the picture of it."""

import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from kit.files import atomic

from agent import Controllers
from doomreal import DoomReal
from study import walk


def test_moves_lead_to_the_wall_on_their_side():
    game = DoomReal()
    positions = walk.positions(game, 3, [-1] * 70 + [1] * 120)
    game.close()
    assert len(positions) == 190
    assert positions[0] == 384 and positions[69] == pytest.approx(752, abs=0.1)
    assert positions[-1] == pytest.approx(16, abs=0.1)


def test_both_players_are_drawn(tmp_path):
    agent, picture = tmp_path / "agent.json", tmp_path / "walk.png"
    atomic.write_json(agent, [[0.0] * Controllers.size("zch"), 0.0])
    words = [agent, "7", "--episodes", "2", "--max_length", "30", "--output", picture]
    room = Path(walk.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "study.walk", *words], cwd=room, stdout=subprocess.PIPE
    )
    said = f"{picture}: the agent 30 steps, blind 30 steps\n"
    assert (done.returncode, done.stdout.decode()) == (0, said)
    assert imageio.imread(picture).shape[1] > 800


def test_an_episode_played_again_by_its_moves_is_the_same():
    game = DoomReal()
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, 40).astype(np.float32).tolist()
    first, second = walk.positions(game, 3, actions), walk.positions(game, 3, actions)
    game.close()
    np.testing.assert_array_equal(first, second)


def test_a_picture_in_no_png_is_refused_before_any_play(tmp_path, capsys):
    agent = tmp_path / "agent.json"
    agent.write_text("[]")
    with pytest.raises(SystemExit) as ended:
        walk.parse([str(agent), "--output", "walk.txt"])
    assert ended.value.code == 2
    assert "expected a name in .png, found 'walk.txt'" in capsys.readouterr().err
