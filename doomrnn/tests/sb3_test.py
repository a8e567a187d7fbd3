"""The dream for agent libraries: rows that begin anew in the step that ends them, and PPO."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from doomrnn import DoomDream, DoomDreamEnv, dream_in
from world import MODELS

ROOM = Path(__file__).parents[1]
INSTALLED = importlib.util.find_spec("stable_baselines3") is not None
ROWS, STEPS, CAP = 5, 60, 12


@pytest.fixture(scope="module")
def played():
    """Of a batch with SAME_STEP: first observations, and what each step returned."""
    env = DoomDream(dream_in(ROOM / MODELS, max_length=CAP), ROWS, "SameStep")
    first, _ = env.reset(seed=7)
    action = np.full((ROWS, 1), 0.9, np.float32)
    return first, [env.step(action) for _ in range(STEPS)]


def test_the_step_that_ends_a_row_returns_the_next_episodes_first_observation(played):
    first, steps = played
    single = DoomDreamEnv(dream_in(ROOM / MODELS, max_length=CAP))
    ends = 0
    for row in range(ROWS):
        seen, _ = single.reset(seed=7 + row)
        np.testing.assert_array_equal(first[row], seen)
        for observation, reward, terminated, truncated, info in steps:
            seen, expected, died, over, told = single.step(np.float32([0.9]))
            assert (reward[row], terminated[row], truncated[row]) == (expected, died, over)
            np.testing.assert_allclose(info["death_logit"][row], told["death_logit"], atol=2e-4)
            if died or over:
                ends += 1
                assert info["_final_obs"][row]
                np.testing.assert_allclose(info["final_obs"][row], seen, atol=2e-5)
                seen, _ = single.reset()
            elif "final_obs" in info:
                assert info["final_obs"][row] is None
            np.testing.assert_allclose(observation[row], seen, atol=2e-5)
    assert ends >= ROWS * (STEPS // CAP)


def test_a_mode_without_autoreset_is_refused():
    with pytest.raises(ValueError, match="NextStep or SameStep"):
        DoomDream(dream_in(ROOM / MODELS), 2, "Disabled")


CODE = """
from kit.batches.sb3 import VecEnv
import numpy as np, gymnasium, time
def make(mode, rows=5, cap=12):
    return gymnasium.make_vec(
        "doomrnn:DoomDream-v0", rows, models="tf_models", autoreset_mode=mode, max_length=cap
    )
both, action = [make("SameStep"), VecEnv(make("SameStep"))], np.full((5, 1), 0.9, np.float32)
both[1].seed(7)
np.testing.assert_array_equal(both[0].reset(seed=7)[0], both[1].reset())
ends = 0
for _ in range(60):
    seen, reward, terminated, truncated, info = both[0].step(action)
    found, rewards, dones, infos = both[1].step(action)
    np.testing.assert_array_equal(found, seen)
    np.testing.assert_array_equal(rewards, reward)
    np.testing.assert_array_equal(dones, terminated | truncated)
    for row in range(5):
        assert infos[row]["death_logit"] == info["death_logit"][row].item()
        assert ("terminal_observation" in infos[row]) == dones[row]
        if dones[row]:
            ends += 1
            np.testing.assert_array_equal(
                infos[row]["terminal_observation"], info["final_obs"][row]
            )
            assert infos[row]["TimeLimit.truncated"] == truncated[row]
assert ends >= 25
try:
    VecEnv(make("NextStep"))
except ValueError as error:
    assert "SameStep" in str(error)
envs, best = (make("SameStep", 256, 2100), VecEnv(make("SameStep", 256, 2100))), [9, 9]
action = np.zeros((256, 1), np.float32)
for env in envs:
    env.reset()
for _ in range(5):
    for i, env in enumerate(envs):
        start = time.perf_counter()
        for _ in range(20):
            env.step(action)
        best[i] = min(best[i], time.perf_counter() - start)
print("ratio", best[0] / best[1])
"""


def run(*arguments):
    """In a separate process: torch cannot be loaded after TensorFlow."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOM, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not INSTALLED, reason="no stable-baselines3")
def test_stable_baselines3_gets_the_same_dream_at_the_batchs_speed():
    status, said, error = run("-c", CODE)
    assert status == 0, error
    assert float(said.split()[-1]) > 0.6


@pytest.mark.skipif(not INSTALLED, reason="no stable-baselines3")
def test_after_tensorflow_it_is_refused_where_it_would_crash():
    status, _, error = run("-c", "import tensorflow, kit.batches.sb3")
    assert status == 1 and "import kit.batches.sb3 before TensorFlow" in error


@pytest.mark.skipif(not INSTALLED, reason="no stable-baselines3")
def test_ppo_learns_in_the_dream_and_writes_a_controller(tmp_path):
    path = tmp_path / "ppo.json"
    flags = ("--envs", "8", "--steps", "2048", "--output", str(path))
    status, said, error = run("-m", "study.ppo", *flags)
    assert status == 0, error
    assert f"{path}: " in said and "mean length" in said
    parameters = np.array(json.loads(path.read_text())[0])
    assert parameters.shape == (1088,) and 0 < np.abs(parameters).max() < 10


@pytest.mark.skipif(INSTALLED, reason="stable-baselines3 is installed")
def test_without_it_the_command_says_what_to_install(tmp_path):
    status, _, error = run("-m", "study.ppo", "--output", str(tmp_path / "ppo.json"))
    assert status == 2 and error.count("\n") == 1
    assert "is not installed: `pip install -r requirements-sb3.txt` in the rep" in error
