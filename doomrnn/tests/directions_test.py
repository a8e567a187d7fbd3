"""The directions of C's search: what they say about a world, whose play and which seed fix them."""

from pathlib import Path

import numpy as np
import pytest

from kit.command.errors import UserError
from kit.command.seeds import training_seeds

import directions
import train
from agent import Controllers
from policies import RecordedPlayer
from rnn import MDNRNN, FastStep
from world import INPUTS

MODELS = Path(__file__).parents[1] / "tf_models"


@pytest.fixture(scope="module")
def dream():
    from doomrnn import Dream

    rng = np.random.default_rng(1)
    initial_z = rng.normal(size=(2, 10, 64)).astype(np.float32)
    rnn = MDNRNN(seed=1)
    rnn.variables[2][:, 0], rnn.variables[3][0] = 0, -1  # restart logit: an episode never ends
    return Dream(FastStep(rnn), initial_z, max_length=40)


@pytest.fixture(autouse=True)
def few_episodes(monkeypatch):
    monkeypatch.setattr(directions, "EPISODES", 400)
    monkeypatch.setattr(directions, "AGENT_EPISODES", 400)


@pytest.mark.parametrize("inputs", ["z", "zh", "zch"])
def test_directions_suit_the_inputs_and_differ_with_the_seed(dream, inputs):
    found = [directions.find(dream, inputs, 5, seed, 64) for seed in (1, 1, 2)]
    assert found[0].shape == (Controllers.size(inputs), 5)
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_answers_in_the_dream_are_of_size_one_along_every_direction(dream):
    found, answers = directions.find(dream, "zch", 8, 1, 512), []
    act = RecordedPlayer(np.arange(400))
    dream.start(np.arange(400))
    for _ in range(40):
        answers.append(dream.observation @ found)
        dream.step(act(None, np.arange(400)))
    dream.keep(np.empty(0, np.int64))
    size = np.mean(np.concatenate(answers) ** 2, axis=0)
    np.testing.assert_allclose(size, 1, atol=0.35)


def test_an_agents_play_counts_where_there_is_one(dream, monkeypatch):
    monkeypatch.setattr(directions, "principal_directions", lambda inputs, count: inputs)
    agent = np.linspace(-1, 1, 1088)
    random, both = (directions.find(dream, "zch", 8, 1, 512, who) for who in (None, agent))
    assert random.shape == (4000, 1088) and both.shape == (8000, 1088)  # 400 x 40 / 4 each
    np.testing.assert_array_equal(both[:4000], random)
    seeds = training_seeds(np.random.default_rng(1), 800)[400:]
    dream.start(seeds)
    for _ in range(3):
        dream.step(Controllers(agent[None]).act(dream.observation, np.zeros(400, np.int64)))
    np.testing.assert_array_equal(both[4000:4400], dream.observation)
    dream.keep(np.empty(0, np.int64))


def test_train_finds_them_in_the_real_game(monkeypatch):
    monkeypatch.setattr(directions, "EPISODES", 3)
    flags = ["--preset", "smoke", "--components", "4", "--models", str(MODELS)]
    args = train.parse(flags)
    met, run = [], directions.run_rollouts

    def watched(world, act, seeds, **options):
        def remember(observation, rows):
            met.append(observation.copy())
            return act(observation, rows)

        return run(world, remember, seeds, **options)

    monkeypatch.setattr(directions, "run_rollouts", watched)
    found = train.find_directions(args)
    seen = np.concatenate(met)
    assert found.shape == (1088, 4) and seen[:, :64].std() > 0.3  # V's latents of real frames
    answers = seen @ found  # each answers with a mean square of 1 to what was met in the game
    np.testing.assert_allclose(np.mean(answers**2, axis=0), 1, rtol=0.1)
    overlap = answers.T @ answers / len(seen) - np.eye(4)  # and no two answer alike
    assert np.abs(overlap).max() < 0.15
    other = train.find_directions(train.parse([*flags, "--seed_start", "5"]))
    assert np.abs(other - found).max() > 1e-3


def test_a_controller_of_zeros_is_no_direction(dream):
    with pytest.raises(UserError, match="--along"):
        directions.find(dream, "zch", 5, 1, 512, along=[np.zeros(1088)])


def test_components_need_a_linear_controller(capsys):
    with pytest.raises(SystemExit) as error:
        train.parse(["--components", "64", "--inputs", "z_hidden"])
    assert error.value.code == 2 and "--components: only a linear" in capsys.readouterr().err
    assert train.parse(["--preset", "paper"]).components == 0
    assert set(INPUTS) == set(train.INPUTS)
