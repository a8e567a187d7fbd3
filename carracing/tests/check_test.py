"""check.py: its measures by hand-made cases, and that it names the stage that is bad."""

import json

import numpy as np
import pytest

from kit.batches import latents
from kit.command import seeds
from kit.command.errors import UserError
from kit.files import atomic, recordings
from kit.tensors.tf import tf

from agent import Controllers, RealWorld, WorldModel
from env import make
from rnn import MDNRNN, FastStep, Rows, mdn_loss
from study import check, judges, measures
from vae import VAE

SMALL = ("--episodes", "2", "--stock_episodes", "1", "--length", "120", "--frames", "40")


@pytest.fixture(scope="module")
def fresh():
    fast = measures.record("fast", 0, 2, 120)
    return judges.Fresh(fast, measures.record("stock", 2, 1, 30))


def white_noise():
    """Latents that M can know nothing of but that they are standard normal."""
    rng = np.random.default_rng(0)
    mu = rng.standard_normal((5, 160, 32), np.float32)
    return judges.Encoded(mu, mu, rng.uniform(-1, 1, (5, 160, 3)).astype(np.float32))


def save_rnn(path, amount):
    """An M that expects standard normal latents, with noise of `amount` on its weights."""
    rnn, rng = MDNRNN(), np.random.default_rng(0)
    rnn.variables = [amount * rng.standard_normal(s).astype(np.float32) for s in rnn.shapes]
    rnn.save(path)
    return path


def test_m_is_good_where_it_knows_what_can_be_known(tmp_path):
    path = save_rnn(tmp_path / "rnn.json", 0)
    stage = judges.judge_rnn(path, white_noise(), None, tmp_path)
    gain, alone = stage.measures
    # persistence is off by the difference of two, so by half a logarithm of 2; and by twice as much
    assert gain.value == pytest.approx(np.log(2) / 2, abs=0.02)
    assert alone.value == pytest.approx(0.5, abs=0.08)
    assert stage.good and (tmp_path / "M.png").stat().st_size > 1000


def test_spoilt_m_and_its_dream_are_poor(tmp_path):
    path, seen = save_rnn(tmp_path / "rnn.json", 0.3), white_noise()
    good = save_rnn(tmp_path / "good.json", 0)
    stage = judges.judge_rnn(path, seen, (good, seen), tmp_path)
    assert not stage.good and "good.json: 0.34" in stage.measures[0].note
    VAE(32).save(tmp_path / "vae.json")
    given = tmp_path / "vae.json", seen, 1.0, tmp_path
    assert not judges.judge_dream(path, *given).good and judges.judge_dream(good, *given).good


def test_an_untrained_v_is_named_and_m_is_not_judged(monkeypatch, tmp_path):
    VAE(32).save(tmp_path / "tf_vae" / "vae.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check.precision, "use_threads", lambda *_: None)  # too late here
    with pytest.raises(SystemExit) as end:
        check.main(SMALL)
    result = json.loads((tmp_path / "check" / "check.json").read_text())
    assert end.value.code == 1 and result["mend_first"] == "V"
    assert [stage["stage"] for stage in result["stages"]] == ["record", "V", "series", "M"]
    assert (tmp_path / "check" / "V.png").stat().st_size > 1000


def test_a_perfect_v_is_good(monkeypatch, fresh, tmp_path):
    def rounded(_, frames):
        return np.round(frames / 255, 2).astype(np.float32)

    monkeypatch.setattr(latents, "reconstruct", rounded)
    VAE(32).save(tmp_path / "vae.json")
    driven = fresh.fast.frames[0, :30]
    stage = judges.judge_vae(tmp_path / "vae.json", None, fresh, 40, tmp_path, driven)
    found = {measure.name: measure.value for measure in stage.measures}
    assert stage.good and len(found) == 8
    assert found["overlap of the roads, fast"] > 0.98 and found["kerbs off, levels of 255"] < 2


def test_agent_is_judged_on_both_drawings(tmp_path):
    def drive(returns):
        return measures.Drive(np.array(returns, float), np.ones(3, bool), np.empty(0))

    history = [[g, 60 * g, g, 0, 2 * g, 1, 0.1, 201, 300] for g in (1, 2)]
    (tmp_path / "x.hist.json").write_text(json.dumps(history))
    agent = judges.Agent(tmp_path / "x.best.json", None, 3)
    fast = drive([915, 908, 925])
    drives = {"stock": drive([910, 905, 920]), "fast": fast}
    assert judges.judge_agent(agent, drives, tmp_path).good and (tmp_path / "C.png").exists()
    drives = {"stock": drive([700, 705, 720]), "fast": fast}
    worse = judges.judge_agent(agent, drives, tmp_path)
    poor = [measure.name for measure in worse.measures if not measure.good]
    assert poor == ["return on stock", "return lost on stock against fast"]


def test_agent_drives_the_tracks_of_the_check():
    world = RealWorld(WorldModel.random(1), "fast")
    act = Controllers(np.zeros((2, Controllers.size("zh")))).act
    env = make("fast")
    first = env.reset(seed=int(seeds.check_seeds(0, 1)[0]))[0]
    found = []

    def look(steps):
        found.append(world.frames[0].copy())
        if len(found) == 30:
            raise StopIteration

    with pytest.raises(StopIteration):
        measures.drive(world, act, 2, look)
    for _ in range(30):
        first = env.step(np.float32([0, 0.5, 0]))[0]
    np.testing.assert_array_equal(found[-1], first)
    world.close()
    env.close()


def test_bad_recordings_are_named(fresh, tmp_path):
    for number in range(2):
        frames, actions = fresh.fast.frames[number], fresh.fast.actions[number]
        swapped = {"obs": frames[..., [1, 0, 2]], "action": actions.astype(np.float16)}
        recordings.save(tmp_path / f"{number}.npz", **swapped)
    stage = judges.judge_record(tmp_path, fresh, tmp_path / "check")
    poor = [measure.name.split()[0] for measure in stage.measures if not measure.good]
    assert poor == ["recordings", "mean"]  # two, and red for green


def test_latents_of_another_v_are_named(fresh, tmp_path):
    vae, other = VAE(32, seed=1), VAE(32, seed=2)
    for variable in other.variables[:-6]:
        variable.assign(3 * variable)
    frames, actions = fresh.fast.frames[0], fresh.fast.actions.astype(np.float16)
    recordings.save(tmp_path / "record" / "1.npz", obs=frames, action=actions[0])
    mu, logvar = (np.stack([v, v]).astype(np.float16) for v in latents.encode(vae, frames))
    np.savez(tmp_path / "s.npz", mu=mu, logvar=logvar, action=actions)
    given = tmp_path / "s.npz", tmp_path / "record"
    assert judges.judge_series(*given, vae).good and not judges.judge_series(*given, other).good


def test_nll_equals_the_training_loss():
    rng = np.random.default_rng(0)
    rnn = MDNRNN(8, hidden=16)
    rows = Rows(FastStep(rnn))
    rows.start(5)
    rows.advance(rng.standard_normal((5, 8), np.float32), np.ones((5, 3), np.float32))
    z, mixture = rng.standard_normal((5, 8), np.float32), rows.predict()
    output = np.empty((5, rnn.output_size), np.float32)
    output[:, rnn.output_order] = mixture.reshape(5, -1)
    loss = float(mdn_loss(tf.constant(output), z))
    assert latents.density_nll(mixture, z).mean() == pytest.approx(loss, rel=1e-5)


def test_road_kerb_and_car_are_told_apart_by_colour():
    frames = np.full((1, 64, 64, 3), (100, 202, 100), np.uint8)
    frames[0, 10:20] = (102, 102, 102)
    frames[0, 20, :5], frames[0, 20, 5:10] = (250, 0, 0), (253, 253, 253)
    frames[0, 52:56, 30:34] = (204, 0, 0)
    assert measures.road_mask(frames).sum() == 640 and measures.kerb_mask(frames).sum() == 10
    drawn = frames.copy()
    drawn[0, 15:20] = (100, 202, 100)
    np.testing.assert_allclose(measures.road_overlap(frames, drawn), [0.5])
    assert measures.part_error(frames, drawn, measures.car_mask(1)) == 0
    road = measures.road_mask(frames)
    assert measures.part_error(frames, drawn, road) == pytest.approx((2 + 100 + 2) / 3 / 2)


def test_too_short_episodes_and_no_weights_are_errors(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--length: expected at least 100"):
        check.parse(["--length", "99"])
    with pytest.raises(UserError, match=r"tf_vae/vae\.json"):
        check.candidates(check.parse([]))


def test_newest_agent_belongs_to_the_shipped_models_only(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("vae/vae.json", "rnn/rnn.json", "tf_vae/vae.json"):
        atomic.write_text(tmp_path / name, "1")
    atomic.write_text(tmp_path / "log" / "carracing.cma.4.64.best.json", "[]")
    files = check.candidates(check.parse([]))
    assert files.controller.name == "carracing.cma.4.64.best.json" and files.shipped is None
    atomic.write_text(tmp_path / "tf_vae" / "vae.json", "2")
    files = check.candidates(check.parse([]))
    assert files.controller is None and files.rnn is None and files.shipped_vae is not None
