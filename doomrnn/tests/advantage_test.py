"""Pushes in a dream: when they are made, what they cost, and what is learned from them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kit.batches.rollout import run_rollouts
from kit.files.weights import load_controller, save_controller

import advantage
import directions
import train
from advantage import HOLD, WINDOW, Pusher
from agent import Controllers

ROOM = Path(__file__).parents[1]
Z = 64


class Toy:
    """Latents are noise, and z[3] lasts: walking for 15 steps to its side is dangerous."""

    def __init__(self, deadly=False):
        self._rng, self._deadly = np.random.default_rng(0), deadly
        self.observation = np.zeros((0, 1088), np.float32)
        self.death_logit = np.zeros(0, np.float32)
        self._walked = np.zeros(0)

    def start(self, seeds):
        fresh = self._rng.standard_normal((len(seeds), 1088)).astype(np.float32)
        self.observation = np.concatenate((self.observation, fresh))
        self.death_logit = np.append(self.death_logit, np.full(len(seeds), -9, np.float32))
        self._walked = np.append(self._walked, np.zeros(len(seeds)))

    def step(self, actions):
        side = np.sign(self.observation[:, 3])
        walks = actions * side > 0.5
        self._walked = np.where(walks, self._walked + 1, 0)
        danger = self._walked >= HOLD
        self.death_logit = np.where(danger, 9, -9).astype(np.float32)
        noise = self._rng.standard_normal((len(actions), 61))
        self.observation[:, 4:65] = noise
        return np.ones(len(actions)), danger & self._deadly

    def keep(self, rows):
        self.observation, self.death_logit = self.observation[rows], self.death_logit[rows]
        self._walked = self._walked[rows]


def still(observation, rows):
    return np.zeros(len(rows), np.float32)


@pytest.mark.parametrize("deadly", [False, True])
def test_the_move_that_brings_death_is_found(deadly):
    world = Toy(deadly)
    pusher = Pusher(world, still, "z", 300, 400, [1, 0])
    run_rollouts(world, pusher.act, np.arange(300), 400, 64)
    found = pusher.found.direction()
    assert pusher.found.count > 300
    assert found[3] < -0.8 and np.abs(np.delete(found, 3)).max() < 0.3


def test_pushes_are_held_and_the_policy_acts_otherwise():
    world, acts = Toy(), []
    pusher = Pusher(world, still, "z", 200, 300, [2, 0])

    def remembered(observation, rows):
        acts.append(pusher.act(observation, rows))
        return acts[-1]

    run_rollouts(world, remembered, np.arange(200), 300, 200)
    played = np.array(acts)  # (300, 200)
    assert set(np.unique(played)) == {-1, 0, 1}
    pushed = np.abs(played) > 0
    runs = np.diff(np.flatnonzero(np.diff(np.pad(pushed[:, :].T, ((0, 0), (1, 1))).ravel())))[::2]
    assert set(runs[:-1]) <= set(range(1, HOLD + 1)) and np.median(runs) == HOLD
    least = 2 / 3 * HOLD / (WINDOW + advantage.PAUSE[1])
    assert least / 2 < pushed.mean() < 2 / 3 * HOLD / WINDOW


def test_an_end_by_the_clock_is_no_death():
    world = Toy()
    pusher = Pusher(world, still, "z", 100, 120, [3, 0])
    run_rollouts(world, pusher.act, np.arange(100), 120, 10)
    whole = Pusher(world, still, "z", 100, 10_000, [3, 0])
    run_rollouts(world, whole.act, np.arange(100), 120, 10)
    assert pusher.found.count < whole.found.count
    assert pusher.found.cost @ pusher.found.cost < whole.found.cost @ whole.found.cost


def test_a_direction_is_learned_in_the_shipped_dream_and_searched_along(tmp_path, monkeypatch):
    agent, found = tmp_path / "agent.json", tmp_path / "advantage.json"
    save_controller(agent, np.zeros(1088))
    words = [str(agent), "--preset", "smoke", "-n", "1", "--output", str(found)]
    command = [sys.executable, str(ROOM / "advantage.py"), *words]
    done = subprocess.run(command, cwd=ROOM, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "pushes in 400 dreams" in done.stdout
    weights = load_controller(found, 1088)
    monkeypatch.setattr(directions, "EPISODES", 3)
    flags = ["--preset", "smoke", "--components", "4", "--models", str(ROOM / "tf_models")]
    along = train.find_directions(train.parse([*flags, "--along", str(found)]))
    assert along.shape == (1088, 5)
    cosine = along[:, 4] @ weights / np.linalg.norm(along[:, 4]) / np.linalg.norm(weights)
    assert cosine == pytest.approx(1, abs=1e-6)
    assert Controllers.size("zch") == len(weights)


def test_along_needs_components(capsys):
    file = str(ROOM / "log/doomrnn.cma.16.64.best.json")
    with pytest.raises(SystemExit) as error:
        train.parse(["--along", file])
    assert error.value.code == 2 and "--along: expected --components" in capsys.readouterr().err
