"""check.py: its measures by hand-made cases, and that it names the stage that was spoilt."""

import json
from pathlib import Path

import numpy as np
import pytest

from kit.batches import latents
from kit.command import seeds
from kit.command.errors import UserError
from kit.files import recordings
from kit.tensors.tf import tf

from doomreal import DoomReal
from extract import parse as extract_arguments
from extract import record_episode
from policies import RecordedPlayer
from rnn import MDNRNN, FastStep, Rows, mdn_losses
from study import check, judges, measures
from vae import VAE

SHIPPED = Path(__file__).parents[1] / "tf_models"
SMALL = ("--episodes", "10", "--frames", "150", "--models", str(SHIPPED))


@pytest.fixture(scope="module")
def fresh():
    return measures.record(10)


def spoil(variables, amount):
    """The same arrays with noise of `amount` times their own deviation."""
    rng = np.random.default_rng(0)
    arrays = [np.asarray(v) for v in variables]
    return [a + amount * a.std() * rng.standard_normal(a.shape).astype(np.float32) for a in arrays]


@pytest.fixture
def spoilt_vae(tmp_path):
    vae = VAE(64).load(SHIPPED / "vae.json")
    for variable, array in zip(vae.variables, spoil(vae.variables, 0.3), strict=True):
        variable.assign(array)
    vae.save(tmp_path / "spoilt_vae.json")
    return tmp_path / "spoilt_vae.json"


@pytest.fixture
def spoilt_rnn(tmp_path):
    rnn = MDNRNN().load(SHIPPED / "rnn.json")
    rnn.variables = spoil(rnn.variables, 0.5)
    rnn.save(tmp_path / "spoilt_rnn.json")
    return tmp_path / "spoilt_rnn.json"


def test_shipped_v_and_m_are_good(fresh, tmp_path):
    vae, rnn = SHIPPED / "vae.json", SHIPPED / "rnn.json"
    stage = judges.judge_vae(vae, None, fresh, 150, tmp_path)
    assert stage.good and stage.measures[1].value > 0.7
    stage = judges.judge_rnn(rnn, vae, None, fresh, tmp_path)
    assert stage.good and stage.measures[0].value > 0.4
    assert {path.name for path in tmp_path.iterdir()} == {"V.png", "M.png"}


def run(monkeypatch, folder, *arguments):
    """Exit status and check.json of the command, run in `folder`."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(check.precision, "use_threads", lambda *_: None)  # too late here
    with pytest.raises(SystemExit) as end:
        check.main([*SMALL, *arguments])
    return end.value.code, json.loads((folder / "check" / "check.json").read_text())


def test_a_spoilt_v_is_named(monkeypatch, tmp_path, spoilt_vae):
    status, result = run(monkeypatch, tmp_path, "--vae", str(spoilt_vae))
    assert status == 1 and result["mend_first"] == "V"
    assert result["stages"][-1]["measures"] == []  # the shipped M is of another V


def test_a_spoilt_m_is_named_and_v_is_not(monkeypatch, tmp_path, spoilt_rnn):
    status, result = run(monkeypatch, tmp_path, "--rnn", str(spoilt_rnn))
    assert status == 1 and result["mend_first"] == "M"
    good = {stage["stage"]: stage["good"] for stage in result["stages"]}
    assert good["V"] is True and good["M"] is False and good["C"] is None
    assert {path.name for path in (tmp_path / "check").iterdir()} >= {"V.png", "M.png", "dream.png"}


def test_bad_recordings_are_named(fresh, tmp_path):
    for number, (frames, actions) in enumerate(zip(fresh.frames, fresh.actions, strict=True)):
        recordings.save(
            tmp_path / f"{number}.npz", obs=frames[:150, :, :, ::-1], action=actions[:150]
        )
    stage = judges.judge_record(tmp_path, fresh, tmp_path / "check")
    poor = [measure.name.split()[0] for measure in stage.measures if not measure.good]
    assert poor == ["recordings", "length", "mean"]  # ten, cut short, blue for red


def test_latents_of_another_v_are_named(fresh, tmp_path, spoilt_vae):
    vae = VAE(64).load(SHIPPED / "vae.json")
    recordings.save(tmp_path / "record" / "1.npz", obs=fresh.frames[0], action=fresh.actions[0])
    mu, logvar = (v.astype(np.float16) for v in latents.encode(vae, fresh.frames[0]))
    moves, length = fresh.actions[0], np.int32([len(mu) - 3, 3])
    np.savez(tmp_path / "s.npz", mu=mu, logvar=logvar, action=moves, length=length)
    other = VAE(64).load(spoilt_vae)
    given = tmp_path / "s.npz", tmp_path / "record"
    assert judges.judge_series(*given, vae).measures == []  # begins with another recording
    length = np.int32([len(mu), 1])
    mu, logvar, moves = (np.concatenate((v, v[:1])) for v in (mu, logvar, moves))
    np.savez(tmp_path / "s.npz", mu=mu, logvar=logvar, action=moves, length=length)
    assert judges.judge_series(*given, vae).good and not judges.judge_series(*given, other).good


def test_nll_equals_the_training_loss():
    rng = np.random.default_rng(0)
    rnn = MDNRNN(8, hidden=16)
    rows = Rows(FastStep(rnn))
    rows.start(5)
    rows.advance(rng.standard_normal((5, 8), np.float32), np.ones(5, np.float32))
    z = rng.standard_normal((5, 8), np.float32)
    mixture, logit = rows.predict()
    output = np.empty((5, rnn.output_size), np.float32)
    output[:, rnn.output_order] = np.column_stack((mixture.reshape(5, -1), logit))
    loss = mdn_losses(tf.constant(output), z, np.zeros(5, np.float32), np.ones(5, np.float32))[0]
    assert latents.density_nll(mixture, z).mean() == pytest.approx(float(loss), rel=1e-5)


def test_m_is_led_along_each_episode_as_if_alone():
    rng = np.random.default_rng(0)
    rnn = MDNRNN(8, hidden=16)
    latents = [rng.standard_normal((n, 8), np.float32) for n in (5, 9, 7)]
    moves = [rng.integers(-1, 2, len(z)).astype(np.float32) for z in latents]
    together = measures.foresee(rnn, latents, moves)
    for k in range(3):
        alone = measures.foresee(rnn, latents[k : k + 1], moves[k : k + 1])
        np.testing.assert_allclose(together.logits[k], alone.logits[0], atol=1e-5)
        assert together.nll[k] == pytest.approx(alone.nll[0], rel=1e-5)


def test_persistence_is_the_entropy_of_the_changes():
    z = np.cumsum(np.random.default_rng(0).normal(0, 0.2, (20_000, 2)), axis=0)
    expected = 0.5 * np.log(2 * np.pi * np.e * 0.04)
    assert measures.persistence_nll([z])[0] == pytest.approx(expected, abs=0.01)


def test_alarms_are_hits_early_or_false():
    logits = [np.full(50, -1.0) for _ in range(3)]
    logits[0][[10, 45, 49]] = 1  # false, early, hit
    logits[2][[44, 49]] = 1  # this one's end was the clock's: both false
    alarms = measures.count_alarms(logits, np.array([True, True, False]))
    assert alarms.foreseen.tolist() == [True, False]
    assert alarms.false.tolist() == [1, 0, 2] and alarms.early.tolist() == [1, 0, 0]


def test_death_rates_count_deaths_in_the_steps_lived_at_that_age():
    rates = measures.death_rates(np.array([100, 150, 151, 400, 2100]))
    # 0 to 150: deaths at 100 and at 150, 100 + 4 * 150 steps; 150 to 300: one, 1 + 2 * 150 steps
    assert np.allclose(rates[:3], [2000 / 700, 1000 / 301, 1000 / 300])
    assert np.allclose(rates[3:], 0)  # the clock's end is no death
    assert np.isnan(measures.death_rates(np.array([10, 20]))[1:]).all()


def test_fireballs_are_found_by_colour_and_must_be_drawn():
    frames = np.full((1, 64, 64, 3), 80, np.uint8)
    frames[0, 10:13, 10:13] = frames[0, 30:33, 30:33] = (255, 220, 90)
    frames[0, 50, 50:53] = (255, 220, 90)  # too small to be asked for
    picture = np.full((1, 64, 64, 3), 80 / 255)
    picture[0, 10:13, 10:13] = 0.9
    assert measures.fireballs_drawn(frames, picture).tolist() == [True, False]


def test_recorded_player_is_that_of_the_recordings():
    game, episode_seeds = DoomReal(), seeds.check_seeds(0, 3)
    args = extract_arguments([*measures.RECORDING, "--max_frames", "101"])
    played = [record_episode(game, int(seed), args)[1] for seed in episode_seeds]
    game.close()
    player = RecordedPlayer(episode_seeds)
    for row, actions in enumerate(played):
        moves = [player(None, np.array([row]))[0] for _ in actions]
        np.testing.assert_array_equal(moves, actions)


def test_no_weights_at_all_is_an_error(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"tf_vae/vae\.json"):
        check.candidates(check.parse(["--models", "nothing"]))
