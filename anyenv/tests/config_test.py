"""The config: what is missing, unknown, of another type, and that nothing of it is evaluated."""

import json

import pytest

from kit.command.errors import UserError

import config


def load(tmp_path, text) -> config.Config:
    path = tmp_path / "c.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return config.load(path)


def test_defaults_are_those_of_the_seeds_text(tmp_path):
    found = load(tmp_path, {})
    assert found.general.game_name == "Boxing-v0"
    assert found.general.crop_range == "[30:183, 28:131, :]"
    assert (found.vae.batch_size, found.vae.latent_space_dim, found.vae.epochs) == (256, 16, 300)
    assert (found.vae.learning_rate, found.vae.patience) == (0.001, 5)
    rnn = found.rnn
    assert (rnn.batch_size, rnn.sequence_len, rnn.terminal_prob) == (128, 1000, 0.2)
    assert (rnn.hidden_units, rnn.n_gaussians, rnn.epochs, rnn.patience) == (256, 5, 1000, 10)
    assert (rnn.rend_n_rollouts, rnn.rend_n_episodes, rnn.rend_step) == (10, 12, 4)
    es = found.es
    assert (es.epochs, es.popsize, es.n_episodes, es.processes) == (300, 64, 5, -1)
    assert es.l2_decay == 0.01
    assert es.ckpt_path == "./ckpt/controller.ckpt"


def test_every_key_is_in_the_dist_file_and_the_other_way_round():
    values = json.loads(config.DIST.read_text())
    assert {s: set(k) for s, k in values.items()} == {s: set(k) for s, k in config.KEYS.items()}


def test_what_is_given_wins_and_the_rest_is_told(tmp_path):
    found = load(tmp_path, {"vae_training": {"batch_size": 7}})
    assert found.vae.batch_size == 7
    assert "batch_size" not in found.defaulted["vae_training"]
    assert found.defaulted["vae_training"]["epochs"] == 300


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"general": {"game_nam": "x"}}, "general.game_nam is no key; the nearest is game_name"),
        ({"generel": {}}, "generel is no section; the nearest is general"),
        ({"vae_training": {"batch_size": "8"}}, "vae_training.batch_size: expected a whole"),
        ({"vae_training": {"batch_size": 8.5}}, "vae_training.batch_size: expected a whole"),
        ({"vae_training": {"batch_size": True}}, "vae_training.batch_size: expected a whole"),
        ({"vae_training": {"batch_size": 0}}, "found 0"),
        ({"rnn_training": {"terminal_prob": 1.5}}, "expected a number from 0 to 1, found 1.5"),
        ({"es_training": {"processes": 0}}, "es_training.processes: expected -1 or"),
        ({"es_training": {"world": "moon"}}, "expected one of game, dream"),
        ({"general": {"state_shape": [32, 32, 3]}}, "expected [64, 64, 3] or [64, 64, 1]"),
        ({"general": {"crop_range": "[0:1, 2]"}}, "general.crop_range: expected slices"),
        ({"general": {"channels": "history", "state_shape": [64, 64, 1]}}, "history needs"),
        ([1], "expected an object of sections"),
        ({"general": 3}, "general: expected an object of keys"),
        ('{"general": ', "no complete json file"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(tmp_path, given, said):
    with pytest.raises(UserError) as error:
        load(tmp_path, given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "slices"),
    [
        ("[30:183, 28:131, :]", (slice(30, 183), slice(28, 131), slice(None))),
        ("[:-10, ::2]", (slice(None, -10), slice(None, None, 2))),
        ("[:]", (slice(None),)),
    ],
)
def test_crop_range_is_parsed(words, slices):
    assert config.parse_slices(words) == slices


@pytest.mark.parametrize(
    "words",
    [
        "",
        "30:183",
        "[1]",
        "[a:b]",
        "[1:2:0]",
        "[-:3]",
        "[:,:,:,:]",
        "[__import__('os'):1]",
        "[1:2]; print(1)",
        "[1.0:2]",
        "[1:2",
        "[]",
    ],
)
def test_crop_range_that_is_no_slices_is_refused(words):
    assert config.parse_slices(words) is None


def test_a_missing_default_config_is_all_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config.load().general.game_name == "Boxing-v0"
    (tmp_path / "config.json").write_text('{"general": {"seed": 3}}')
    assert config.load().general.seed == 3
