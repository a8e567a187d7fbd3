"""Agents out of a run or a file: scored, shown, exported; damaged ones are named."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dreamerv2 import agents, evaluate, play
from kit.command.errors import UserError

ROOT = Path(__file__).parents[2]


def test_evaluation_and_file_of_an_agent(run, tmp_path, capsys):
    file = tmp_path / "agent.npz"
    evaluate.main([str(run), "--export", str(file)])
    found = []
    for agent in (run, file):
        capsys.readouterr()
        evaluate.main([str(agent), "--episodes", "3", "--csv", str(tmp_path / "scores.csv")])
        found.append(capsys.readouterr().out)
    assert re.search(r"trial 2 seed 2 reward \S+ steps 40\nseed 0 average_reward", found[1])
    assert (tmp_path / "scores.csv").read_text().count("\n") == 4
    with np.load(file, allow_pickle=False) as content:
        kinds = {content[name].dtype for name in content.files if name != "settings"}
    assert kinds == {np.dtype(np.float16)}


def test_a_dream_beside_the_game(run, tmp_path):
    import imageio.v3 as imageio

    film = tmp_path / "dream.mp4"
    flags = ["--actor", "--beside", "--steps", "6", "--dreams", "1", "--context", "3"]
    play.main([str(run), *flags, "--video", str(film)])
    frames = imageio.imread(film)
    assert frames.shape[1:] == (492, 896, 3) and len(frames) >= 3
    assert frames[0].std() > 10


def test_playing_by_hand_needs_a_window(run, tmp_path):
    with pytest.raises(UserError, match="--video and --gif need --actor"):
        play.main([str(run), "--video", str(tmp_path / "a.mp4")])


@pytest.mark.parametrize("parallel", ["none", "thread"])
def test_the_shipped_agent_walks_straight_to_the_goal(capsys, parallel):
    agent = str(ROOT / "dreamerv2/zoo/minigrid_empty.npz")
    evaluate.main([agent, "--episodes", "4", "--envs_parallel", parallel])
    said = capsys.readouterr().out
    assert said.count("reward 0.96 steps 7\n") == 4  # the fewest steps there are


def test_the_shipped_car_drives(capsys):
    agent = str(ROOT / "dreamerv2/zoo/carracing.npz")
    evaluate.main([agent, "--episodes", "1", "--seed", "4"])
    reward = re.search(r"trial 0 seed 4 reward (\S+) ", capsys.readouterr().out)
    assert float(reward[1]) > 400  # 930 where it was trained; at random -51


def test_damaged_agents_are_named(run, tmp_path):
    for name, content in (("a.npz", b"no zip"), ("b.npz", None)):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}: expected a run's folder or an agent's npz"):
            agents.load(tmp_path / name, 1)
    np.savez(tmp_path / "c.npz", settings=np.array(json.dumps({"task": "minigrid_Empty-5x5"})))
    with pytest.raises(UserError, match="weights are not those"):
        agents.load(tmp_path / "c.npz", 1, **{"rssm.deter": 8, "rssm.hidden": 8})
