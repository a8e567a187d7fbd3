"""An environment of one's own that is broken: one sentence that names it and what it returned."""

import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from estool import agents, games
from kit.batches import lockstep
from kit.command.errors import UserError

HERE = Path(__file__).parents[1]
SPACE = gymnasium.spaces.Box(-9, 9, (3,), np.float32)
ZEROS = np.zeros(3, np.float32)
GOOD = (ZEROS, 1.0, False, False, {})


class Own(gymnasium.Env):
    """Returns what it is told to; ends after `steps`."""

    observation_space = SPACE
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, first=(ZEROS, {}), result=GOOD, steps=5):
        self.first, self.result, self.steps = first, result, steps

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = self.steps
        return self.first

    def step(self, action):
        self.left -= 1
        if len(self.result) != 5:
            return self.result
        observation, reward, terminated, truncated, info = self.result
        return observation, reward, terminated or self.left == 0, truncated, info


class WithoutSeed(Own):
    def reset(self):
        return self.first


class Crashing(Own):
    def step(self, action):
        raise ZeroDivisionError("a fault of the user")


def play(kind=Own, limit=20, **options):
    """Returns and lengths of three episodes of an agent of zeros."""
    gymnasium.register("Own-v0", entry_point=kind, kwargs=options)
    try:
        rollouts = agents.Rollouts(games.find("Own-v0"), batch=2, max_length=limit)
        params = np.zeros((3, rollouts.policy.num_params))
        return rollouts(params, np.arange(3), test=True)
    finally:
        del gymnasium.registry["Own-v0"]


def test_one_that_is_right_is_played():
    returns, lengths = play(result=(ZEROS, np.float32(2), np.False_, False, {}))
    assert returns.tolist() == [10, 10, 10] and lengths.tolist() == [5, 5, 5]
    returns, _ = play(result=(ZEROS, np.array(2), np.array(False), False, {}))  # also a number
    assert returns.tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"first": ZEROS}, r"reset returned array\(\[0.*, expected \(observation, info\)"),
        ({"first": (np.zeros(4), {})}, r"reset returned array.* of shape \(3,\)"),
        ({"first": (None, {})}, r"reset returned None, expected an observation of shape \(3,\)"),
        ({"first": (np.full(3, np.nan), {})}, r"expected finite observations, found array\(\[nan"),
        ({"result": GOOD[:4]}, r"step returned a tuple of 4 \(ndarray, float, bool, bool\)"),
        ({"result": (np.zeros(1), *GOOD[1:])}, r"step returned array\(\[0.\]\), expected an obs"),
        (
            {"result": (ZEROS, np.ones(1), *GOOD[2:])},
            r"step returned array\(\[1.\]\), .* reward",
        ),
        ({"result": (ZEROS, np.nan, *GOOD[2:])}, "step returned nan, expected a finite number"),
        ({"result": (ZEROS, None, *GOOD[2:])}, "step returned None, expected a finite number"),
        ({"result": (ZEROS, 1, [False, True], *GOOD[3:])}, r"step returned \[False, True\], exp"),
        ({"result": (np.full(3, np.inf), *GOOD[1:])}, r"expected finite observations, found array"),
        ({"kind": WithoutSeed}, r"expected reset\(seed=..., options=...\), found no seed"),
        ({"missing": 1}, r"gymnasium cannot make it \(.*unexpected keyword argument 'missing'"),
        ({"kind": "nowhere:Own"}, r"gymnasium cannot make it \(No module named 'nowhere'"),
        ({"kind": "math:Own"}, r"gymnasium cannot make it \(module 'math' has no attribute 'Own'"),
    ],
)
def test_one_that_is_not_is_named_with_what_it_returned(options, said):
    with pytest.raises(UserError, match=f"^Own-v0: {said}"):
        play(**options)


def test_a_fault_in_its_own_code_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError, match="a fault of the user"):
        play(Crashing)


def test_one_that_does_not_end_is_pointed_out_once_with_the_flag(monkeypatch, capsys):
    monkeypatch.setattr(lockstep, "LONG", 50)
    monkeypatch.setattr(agents, "LONG", 50)
    play(limit=-1, steps=120)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Own-v0: an episode has lasted 50 steps" in said and "give --max_length" in said
    play(limit=200, steps=120)
    play(limit=-1, steps=40)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("return 0, 1.0, False, {}", 2, "Own-v0: step returned a tuple of 4 (int, float, bool"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    ],
)
def test_several_ranks_say_it_once(tmp_path, fault, status, said):
    (tmp_path / "own_task.py").write_text(
        "import gymnasium, numpy as np\n"
        "class Own(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(-1, 1, (3,))\n"
        "    action_space = gymnasium.spaces.Discrete(2)\n"
        "    def reset(self, seed=None, options=None):\n"
        "        return np.zeros(3, np.float32), {}\n"
        "    def step(self, action):\n"
        f"        {fault}\n"
        "gymnasium.register('Own-v0', Own)\n"
    )
    done = subprocess.run(
        [sys.executable, HERE / "train.py", "own_task:Own-v0", "-n", "2", "--population", "4"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{HERE.parent}"},
    )
    assert done.returncode == status
    assert done.stderr.count(said) == 1, done.stderr
    assert status == 1 or done.stderr.count("\n") == 1


def test_a_task_is_the_same_by_any_of_its_names():
    known = games.find("BipedalWalker-v3")
    for name in ("biped", "BipedalWalker", "gymnasium:BipedalWalker", "gymnasium:BipedalWalker-v3"):
        assert games.find(name) == known
    assert games.find("MountainCar").env_id == "MountainCar"  # without settings: as it is given
    for name in ("no-such-id", "no_module:Own-v0", "BipedalWalker-v99", "a b"):
        with pytest.raises(UserError, match=f"^{name}: gymnasium cannot make it"):
            games.find(name).make()


def test_walkers_of_any_name_do_not_depend_on_their_company():
    """Registered anew, a walker still gets a fresh world for each episode."""
    entry = "gymnasium.envs.box2d.bipedal_walker:BipedalWalker"
    gymnasium.register("OwnWalker-v0", entry_point=entry, max_episode_steps=300)
    try:
        seeds, results = np.arange(5), []
        for batch in (1, 3):
            rollouts = agents.Rollouts(games.find("OwnWalker-v0"), batch)
            params = np.random.default_rng(0).standard_normal((5, rollouts.policy.num_params))
            results.append(rollouts(params, seeds, test=True))
            rollouts.close()
        np.testing.assert_array_equal(*results)
    finally:
        del gymnasium.registry["OwnWalker-v0"]
