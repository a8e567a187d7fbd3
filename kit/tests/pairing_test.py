"""An agent and the weights it was evolved with: noticed where they do not belong together."""

import json

import pytest

from kit.command.errors import UserError
from kit.files import pairing


@pytest.fixture
def weights(tmp_path):
    result = {"vae": tmp_path / "vae.json", "rnn": tmp_path / "rnn.json"}
    for name, path in result.items():
        path.write_text(name)
    return result


def write(folder, value):
    (folder / "x.settings.json").write_text(json.dumps(value))


@pytest.mark.parametrize("name", ["x.json", "x.best.json"])
def test_other_weights_than_an_agent_was_evolved_with_are_named(tmp_path, weights, name):
    agent = tmp_path / name
    write(tmp_path, {"seed": 1, pairing.KEY: pairing.digests(weights)})
    assert pairing.mismatch(agent, weights) is None
    weights["rnn"].write_text("another")
    said = pairing.mismatch(agent, weights)
    assert said.startswith(f"{agent} was evolved with other weights than {weights['rnn']}: ")
    weights["vae"].write_text("another")
    said = pairing.mismatch(agent, weights)
    assert f"{weights['vae']} and {weights['rnn']}: " in said


def test_settings_that_do_not_say_belong_to_any_weights(tmp_path, weights):
    agent = tmp_path / "x.best.json"
    assert pairing.mismatch(agent, weights) is None  # no settings
    for earlier in ({"seed": 1}, [], {pairing.KEY: None}):
        write(tmp_path, earlier)
        assert pairing.mismatch(agent, weights) is None


def test_weights_that_are_missing_are_named(tmp_path, weights):
    weights["vae"].unlink()
    with pytest.raises(UserError, match=r"vae\.json cannot be read: No such file"):
        pairing.digests(weights)
