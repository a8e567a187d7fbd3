"""Settings: blocks, types, flags, and what a wrong one is answered with."""

import pickle

import pytest

from dreamerv2 import config as settings
from dreamerv2 import limits
from dreamerv2.config import Config
from kit.command.errors import UserError


def test_every_key_is_explained_and_every_explanation_has_its_key():
    assert set(settings.explanations()) == set(settings.defaults().flat)


@pytest.mark.parametrize("name", list(settings.configs()))
def test_every_block_fits_on_the_defaults(name):
    config = settings.from_blocks([name])
    assert set(config.flat) == set(settings.defaults().flat)
    limits.check(config)


def test_blocks_have_the_originals_values():
    atari = settings.from_blocks(["atari"])
    assert (atari.rssm.deter, atari.rssm.hidden, atari.train_every) == (600, 600, 16)
    assert (atari.loss_scales.kl, atari.loss_scales.discount, atari.discount) == (0.1, 5.0, 0.999)
    crafter = settings.from_blocks(["crafter"]).flat
    norms = {value for key, value in crafter.items() if key.endswith(".norm")}
    assert norms == {"layer"}
    assert settings.from_blocks(["dmc"]) == settings.from_blocks(["dmc_vision"])
    debug = settings.from_blocks(["atari", "debug"])
    assert (debug.jit, debug.dataset.batch, debug.task) == (False, 10, "atari_pong")


def test_a_key_has_three_ways_to_it_and_none_to_change_it():
    config = settings.defaults()
    assert config.rssm.deter == config["rssm.deter"] == config["rssm"]["deter"] == 1024
    assert "rssm.deter" in config and "rssm.foo" not in config
    with pytest.raises(AttributeError, match="immutable"):
        config.seed = 1
    with pytest.raises(AttributeError, match="immutable"):
        config["seed"] = 1
    with pytest.raises(AttributeError, match="foo"):
        _ = config.foo


def test_update_takes_dotted_nested_and_regular_expression_keys():
    config = settings.defaults().update(
        {"rssm.deter": 200, "replay": {"minlen": 10}, r".*\.act": "relu", "prefill": 1e5}
    )
    assert (config.rssm.deter, config.replay.minlen, config.replay.maxlen) == (200, 10, 50)
    assert (config.actor.act, config.encoder.act) == ("relu", "relu")
    assert config.prefill == 100_000 and isinstance(config.prefill, int)
    assert settings.defaults().rssm.deter == 1024


@pytest.mark.parametrize(
    ("flags", "key", "value"),
    [
        (["--prefill", "1e3"], "prefill", 1000),
        (["--prefill=1e3"], "prefill", 1000),
        (["--rssm.deter", "200"], "rssm.deter", 200),
        ([r"--.*\.norm", "layer"], "critic.norm", "layer"),
        (["--render_size", "32", "32"], "render_size", (32, 32)),
        (["--encoder.mlp_layers=64,32"], "encoder.mlp_layers", (64, 32)),
        (["--jit", "False"], "jit", False),
        (["--actor_ent", "linear(1e-2,1e-3,1e6)"], "actor_ent", "linear(1e-2,1e-3,1e6)"),
        (["--discount", ".9"], "discount", 0.9),
        (["--task", "dmc_cup_catch"], "task", "dmc_cup_catch"),
    ],
)
def test_flags(flags, key, value):
    assert settings.defaults().parse_flags(flags)[key] == value


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--foo", "1"], "foo: expected the name of a setting"),
        (["--rssm.units", "1"], "is it reward_head.units"),
        (["--prefill", "1.5"], "prefill: expected a whole number, found '1.5'"),
        (["--jit", "maybe"], "jit: expected True or False"),
        (["--discount", "nan"], "discount: expected a number"),
        (["--actor_ent", "often"], "a number or a schedule"),
        (["--seed", "1", "2"], "seed: expected one value, found 2"),
        (["--seed"], "--seed: expected a value after it"),
        (["--(", "1"], "no regular expression"),
        (["1"], "expected a flag"),
    ],
)
def test_wrong_flags_are_answered_with_a_sentence(flags, message):
    with pytest.raises(UserError) as caught:
        settings.defaults().parse_flags(flags)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"envs": 0}, "--envs: expected 1 to 10,000, found 0"),
        ({"envs": 2**31}, "--envs: expected 1 to 10,000, found 2147483648"),
        ({"replay_gb": 0}, "--replay_gb: expected more than 0, found 0.0"),
        ({"imag_horizon": 1e300}, r"--imag_horizon: expected 1 to 1,000, found 1\d+\.\.\. \(301"),
        ({"discount_head.layers": 0}, r"--discount_head\.layers: expected 1 to 100, found 0"),
        ({"discount": "inf"}, "--discount: expected 0 to 1, found inf"),
        ({"actor_ent": "inf"}, "--actor_ent: expected at least 0, found inf"),
        ({"rssm.norm": "all"}, r"--rssm\.norm: expected one of none, layer, found 'all'"),
        ({"encoder.act": "abc"}, r"--encoder\.act: expected one of none, elu, .*, found 'abc'"),
        ({"steps": -1}, "--steps: expected at least 0"),
        ({"precision": 8}, "--precision: expected one of 16, 32"),
        ({"clip_rewards": "half"}, "--clip_rewards: expected one of identity, sign, tanh"),
        ({"replay.minlen": 60}, "--replay.minlen: expected 1 to --replay.maxlen"),
        ({"render_size": [64, 64, 3]}, "--render_size: expected height and width"),
    ],
)
def test_values_that_no_run_can_have(changed, message):
    with pytest.raises(UserError, match=message):
        limits.check(settings.defaults().update(changed))


def test_an_unknown_block_names_the_known_ones():
    with pytest.raises(UserError, match=r"--configs: expected atari, .*found 'foo'"):
        settings.from_command_line(["--configs", "atari", "foo"])


def test_help_lists_every_key(capsys):
    with pytest.raises(SystemExit) as caught:
        settings.from_command_line(["--help"], "What it does.")
    shown = capsys.readouterr().out
    assert caught.value.code == 0 and shown.startswith("What it does.")
    assert all(f"--{key} " in shown for key in settings.defaults().flat)


def test_wrong_flags_of_a_script_end_it_with_status_2(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mine.py", "--foo", "1"])
    with pytest.raises(SystemExit) as caught:
        settings.defaults().parse_flags()
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "mine.py: foo: expected the name of a setting, --help lists all\n"
    )


@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_saved_settings_come_back(tmp_path, name):
    config = settings.from_blocks(["atari"]).update({"actor_ent": "linear(1,0,1e6)"})
    config.save(tmp_path / name)
    assert Config.load(tmp_path / name) == config
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize("text", ["- 1\n", "a: [", "\0", "!!python/object/apply:os.getcwd []"])
def test_damaged_settings_are_named(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        Config.load(tmp_path / "config.yaml")
