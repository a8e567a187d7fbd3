"""The CarRacing room as a whole: V and C by numbers, the real game, every stage at smoke size."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from kit.batches.rollout import run_rollouts
from kit.command import cli, mpi
from kit.command.errors import UserError
from kit.files import weights
from kit.tensors.tf import tf

import dream_env
import dream_model
import env as room_env
import extract
import model as model_module
import policies
import rnn_train
import series
import train
import vae_train
from agent import Controllers, RealWorld, WorldModel, simulate
from policies import random_policy
from rnn import MDNRNN, FastStep, Rows
from vae import VAE, shapes

ROOM = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model():
    return WorldModel.random(3)


@pytest.fixture(scope="module")
def world(model):
    result = RealWorld(model, "fast")
    yield result
    result.close()


def keras_encoder(vae):
    """mu of the same variables in plain Keras layers."""
    layers = [tf.keras.layers.Conv2D(n, 4, 2, activation="relu") for n in (32, 64, 128, 256)]
    model = tf.keras.Sequential(
        [tf.keras.Input((64, 64, 3)), *layers, tf.keras.layers.Flatten(), tf.keras.layers.Dense(32)]
    )
    model.set_weights([v.numpy() for v in vae.variables[:10]])
    return model


def keras_decoder(vae):
    """The decoder of the same variables in plain Keras layers, with all four deconvolutions."""
    sizes = ((128, 5, "relu"), (64, 5, "relu"), (32, 6, "relu"), (3, 6, "sigmoid"))
    model = tf.keras.Sequential(
        [
            tf.keras.Input((32,)),
            tf.keras.layers.Dense(1024),
            tf.keras.layers.Reshape((1, 1, 1024)),
            *(tf.keras.layers.Conv2DTranspose(n, k, 2, activation=a) for n, k, a in sizes),
        ]
    )
    model.set_weights([v.numpy() for v in vae.variables[12:]])
    return model


def test_parameter_counts_are_the_papers(model):
    assert model.vae.parameter_count == 4_348_547
    assert model.rnn.parameter_count == 422_368
    assert Controllers.size("zh") == 867


def test_controller_sizes_of_the_other_inputs():
    assert [Controllers.size(name) for name in ("z", "zc", "zch")] == [99, 867, 1635]
    assert Controllers.size("z_hidden") == 33 * 40 + 41 * 3


def test_vae_file_of_another_room_is_named_and_v_equals_keras_layers(tmp_path):
    vae = VAE(32)
    rng = np.random.default_rng(1)
    for variable in vae.variables:
        if len(variable.shape) == 1:  # biases that are not zero
            variable.assign(rng.standard_normal(variable.shape) * 0.1)
    frames = rng.integers(0, 256, (3, 64, 64, 3), np.uint8)
    expected = keras_encoder(vae)(frames / 255.0).numpy()
    np.testing.assert_allclose(vae.encode(frames)[0], expected, atol=1e-5)
    z = rng.standard_normal((3, 32)).astype(np.float32)
    expected = keras_decoder(vae)(z).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(vae.decode(z), expected, atol=1e-5)
    VAE(64).save(tmp_path / "vae.json")
    with pytest.raises(UserError, match=r"vae\.json.*\(1024, 32\)"):
        VAE(32).load(tmp_path / "vae.json")


def squashed(raw):
    steer, gas, brake = np.tanh(raw).T
    return np.stack((steer, (gas + 1) / 2, np.maximum(brake, 0)), axis=1)


@pytest.mark.parametrize("inputs", ["z", "zc", "zh", "zch"])
def test_controller_is_three_biases_then_rows_of_three_weights(inputs):
    rng = np.random.default_rng(0)
    parameters = rng.standard_normal((3, Controllers.size(inputs))) * 0.1
    observation = rng.standard_normal((2, 32 + 512)).astype(np.float32)
    z, c, h = np.split(observation.astype(np.float64), [32, 288], axis=1)
    seen = np.concatenate([{"z": z, "c": c, "h": h}[name] for name in inputs], axis=1)
    action = Controllers(parameters, inputs).act(observation, np.array([2, 0]))
    raw = np.zeros((2, 3))
    for row, controller in enumerate((2, 0)):
        for output in range(3):
            own = parameters[controller][3 + output :: 3]
            raw[row, output] = parameters[controller][output] + seen[row] @ own
    np.testing.assert_allclose(action, squashed(raw), atol=1e-5)


def test_controller_with_a_hidden_layer():
    rng = np.random.default_rng(0)
    parameters = rng.standard_normal((1, Controllers.size("z_hidden"))) * 0.1
    observation = rng.standard_normal((1, 32 + 512)).astype(np.float32)
    bias, matrix, last_bias, last = np.split(parameters[0], [40, 1320, 1323])
    units = np.tanh(bias + observation[0, :32] @ matrix.reshape(32, 40))
    expected = squashed((last_bias + units @ last.reshape(40, 3))[None])
    action = Controllers(parameters, "z_hidden").act(observation, np.array([0]))
    np.testing.assert_allclose(action, expected, atol=1e-5)


def test_a_controller_file_of_the_reference_drives_as_its_numbers_say(tmp_path):
    """The forms of its log: [[parameters]] and [parameters, score], and our [[...], score]."""
    parameters = np.arange(867) / 1e4
    path = tmp_path / "carracing.cma.16.64.best.json"
    path.write_text(str([parameters.tolist(), 900.46]))
    loaded = weights.load_controller(path, Controllers.size("zh"))
    observation = np.zeros((1, 544), np.float32)
    observation[0, -1] = 2  # h of cell 255: the last three numbers
    action = Controllers(loaded[None]).act(observation, np.array([0]))
    raw = parameters[:3] + 2 * parameters[-3:]
    np.testing.assert_allclose(action, squashed(raw[None]), atol=1e-6)


def test_batched_simulate_equals_one_rollout_at_a_time_to_the_last_bit(model, world):
    rng = np.random.default_rng(0)
    controllers = Controllers(rng.standard_normal((5, 867)) * 0.1)
    seeds = np.array([11, 12, 13, 14, 11])
    together = simulate(world, controllers, seeds, 100, batch=3)
    for k in range(5):
        one = Controllers(controllers.parameters[k : k + 1])
        alone = simulate(world, one, seeds[k : k + 1], 100)
        assert (together[0][k], together[1][k]) == (alone[0][0], alone[1][0])
    assert len(set(together[0].tolist())) == 5


@pytest.mark.parametrize("sampled", [True, False])
def test_real_world_shows_the_frames_that_the_environment_gives(model, sampled):
    """z is a sample of V's encoding of them, or its mean; M is advanced after each action."""
    world, game = RealWorld(model, "stock", sampled=sampled), room_env.make("stock")
    world.start([3, 4])
    frame, _ = game.reset(seed=4)
    rows, action = Rows(FastStep(model.rnn)), np.float32([0.1, 0.5, 0])
    rows.start(1)
    for _ in range(5):
        np.testing.assert_array_equal(world.frames[1], frame)
        mu, logvar = model.vae.encode(frame[None])
        distance = (world.observation[1, :32] - mu[0]) / np.exp(logvar[0] / 2)
        if sampled:
            assert 0.4 < distance.std() < 1.8
        else:
            np.testing.assert_allclose(distance, 0, atol=1e-4)
        rows.advance(world.observation[1:, :32], action[None])
        world.step(np.stack((action, action)))
        frame = game.step(action)[0]
        np.testing.assert_allclose(world.observation[1, 288:], rows.h[0], atol=1e-6)
    world.close()


def test_patience_ends_a_rollout_early_and_charges_the_steps_left(model, world):
    still = Controllers(np.append([0, -20, -20], np.zeros(864))[None].repeat(3, 0))
    seeds = np.array([1, 2, 3])
    patient = simulate(world, still, seeds, 120)
    hasty_world = RealWorld(model, "fast", patience=20)
    hasty_world.max_length = 120
    hasty = simulate(hasty_world, still, seeds, 120)
    assert (patient[1] == 120).all() and (hasty[1] < 60).all() and (hasty[1] > 20).all()
    np.testing.assert_allclose(hasty[0], patient[0], atol=1e-9)
    hasty_world.close()


def test_finished_laps_are_counted_by_their_seeds(model):
    world = RealWorld(model, "fast")
    world.start([7, 8])
    lapped = world._games._envs[1].unwrapped
    lapped.tile_visited_count = len(lapped.track)
    done = world.step(np.zeros((2, 3), np.float32))[1]
    assert done.tolist() == [False, True] and world.goals == {8}
    world.close()


def test_random_policy_scores_far_below_a_driver(world):
    seeds = np.arange(5000, 5004)
    returns, lengths = run_rollouts(world, random_policy(seeds), seeds, 200)
    assert -50 < returns.mean() < 80 and lengths.max() == 200


@pytest.mark.parametrize("policy", ["reference", "brownian", "both"])
def test_recorded_frame_precedes_its_action(policy):
    game = room_env.make("fast")
    args = extract.parse(["--max_frames", "50", "--policy", policy])
    frames, actions = extract.record_episode(game, 1_000_009, args)
    assert frames.shape == (50, 64, 64, 3) and frames.dtype == np.uint8
    assert actions.shape == (50, 3) and actions.dtype == np.float16
    observation, _ = game.reset(seed=1_000_009)
    for frame, action in zip(frames, actions, strict=True):
        np.testing.assert_array_equal(frame, observation)
        observation, *_ = game.step(action.astype(np.float32))


def test_one_episode_in_ten_is_drawn_by_stock():
    args = extract.parse(["--preset", "laptop"])
    kinds = [policies.renderer_of(seed, args) for seed in range(1_000_000, 1_000_800)]
    assert kinds.count("stock") == 80
    paper = extract.parse(["--preset", "paper"])
    assert {policies.renderer_of(seed, paper) for seed in range(16)} == {"stock"}


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A copy of this room without data, after all three bash scripts at smoke size."""
    folder = tmp_path_factory.mktemp("carracing") / "carracing"
    folder.mkdir()
    for path in [*ROOM.glob("*.py"), *ROOM.glob("*.bash")]:
        shutil.copy(path, folder)
    for name in ("fast", "study"):
        shutil.copytree(ROOM / name, folder / name)
    for script in (["extract.bash"], ["gpu_jobs.bash"], ["gce_train.bash", "-n", "1"]):
        run(folder, "bash", *script, "--preset", "smoke")
    return folder


def run(folder, *command):
    """Run a command in the room; returns its standard output."""
    environment = os.environ | {"PYTHON": sys.executable, "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable if word == "python" else word for word in command]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


AGENT = "log/carracing.cma.2.6.best.json"


def test_a_second_round_goes_on_from_an_agent_and_its_weights(room, tmp_path):
    folder = shutil.copytree(room, tmp_path / "carracing")
    sizes = {"vae": shapes(32), "rnn": MDNRNN(32).shapes}
    first = {}
    for name, size in sizes.items():  # biases shifted, so that they are nobody's first weights
        path = folder / name / f"{name}.json"
        arrays = weights.load_weights(path, size)
        first[name] = [array + 0.01 * (array.ndim == 1) for array in arrays]
        weights.save_weights(path, first[name])
    run(folder, "bash", "next_round.bash", "2", AGENT, "--preset", "smoke")
    assert len(list((folder / "round2" / "record").glob("*.npz"))) == 4
    with np.load(folder / "round2" / "series" / "series.npz", allow_pickle=False) as file:
        assert len(file["mu"]) == 10
    # A few steps of at most 5e-4 on from there. V's rate is still rising in its six steps: they
    # are seen in its checkpoint, and not in the four decimals of its json.
    with np.load(folder / "round2" / "tf_vae" / "checkpoint.npz", allow_pickle=False) as file:
        second = {"vae": [file[f"array_{index}"] for index in range(len(sizes["vae"]))]}
    second["rnn"] = weights.load_weights(folder / "round2" / "rnn" / "rnn.json", sizes["rnn"])
    for name, least in (("vae", 1e-7), ("rnn", 1e-4)):
        moved = [np.abs(a - b).max() for a, b in zip(first[name], second[name], strict=True)]
        assert least < min(moved) and max(moved) < 0.005, (name, moved)  # all of it learned
    assert (folder / "round2" / AGENT).exists()


def test_stages_leave_the_files_that_the_reference_has(room):
    for name in ("vae", "rnn", "initial_z"):
        assert (room / name / f"{name}.json").stat().st_size > 1000
    names = ["tf_vae/loss.png", "tf_rnn/loss.png", "tf_rnn/dream.png"]
    names += [f"tf_vae/reconstructions.{at}png" for at in ("", "0.", "3.", "6.")]
    for name in names:
        assert (room / name).exists(), name
    assert len(list((room / "record").glob("*.npz"))) == 6
    with np.load(room / "series" / "series.npz", allow_pickle=False) as file:
        assert file["mu"].shape == file["logvar"].shape == (6, 60, 32)
        assert file["action"].shape == (6, 60, 3) and file["action"].dtype == np.float16
        mu = file["mu"]
    pair = weights.load_initial_z(room / "initial_z" / "initial_z.json", 32)
    np.testing.assert_allclose(pair[0], mu[:, 0], atol=2e-4)
    for suffix in ("", ".best", ".hist", ".hist_best", ".log"):
        assert (room / "log" / f"carracing.cma.2.6{suffix}.json").exists()


def test_scoring_from_the_command_line_and_in_one_process(room, monkeypatch, capsys):
    command = ("norender", AGENT, "7", "--episodes", "3", "--max_length", "50")
    lines = run(room, "python", "model.py", *command, "-n", "2").splitlines()
    assert lines[-1].split()[::2] == ["seed", "average_reward", "stdev", "stderr", "median"]
    assert [line.split()[3] for line in lines[-5:-2]] == ["7", "8", "9"]
    assert lines[-2] == "laps finished: 0%"
    monkeypatch.chdir(room)
    model_module.main([*command, "-n", "1"])  # any number of ranks scores the same
    assert capsys.readouterr().out.splitlines() == lines[-5:]
    model_module.main(["norender", "--episodes", "2", "--max_length", "5", "-n", "1"])
    assert capsys.readouterr().out.count("trial") == 2


def test_tracks_that_do_not_fit_into_memory_are_refused_before_the_start():
    base = mpi.TENSORFLOW_BYTES
    args = ["-n", "2", "--population", "64", "-e", "4", "--eval_episodes", "10"]
    assert train.rank_bytes(train.parse(args)) == base + 32 * 22e6 + 5 * 6e6
    args += ["--eval_renderer", "fast", "--batch", "1000"]
    assert train.rank_bytes(train.parse(args)) == base + 128 * 22e6
    args = ["norender", "--episodes", "100000", "--batch", "100000", "-n", "1"]
    with pytest.raises(UserError, match=r"needs about 600 GB of memory.*--batch"):
        model_module.main(args)
    with pytest.raises(UserError, match="--gif needs render, found norender"):
        model_module.parse(["norender", "--gif", "a.gif"])


def test_pictures_of_the_game_and_of_the_dream(room, monkeypatch, capsys):
    video = ("--video", "a.mp4", "--strip", "a.png", "--max_length", "12")
    assert "steps 12" in run(room, "python", "model.py", "render", AGENT, *video)
    video = ("--gif", "b.gif", "--strip", "b.png", "--max_length", "9", "--expected")
    monkeypatch.chdir(room)
    monkeypatch.setattr(dream_model.precision, "use_threads", lambda *_: None)  # too late here
    dream_model.main([AGENT, "3", *video])
    assert "steps 9" in capsys.readouterr().out
    film = imageio.imread(room / "a.mp4", plugin="FFMPEG")
    assert film.shape == (12, 428, 1344, 3)
    game, crop = film[:, 40:300, :576], film[:, 40:300, 600:900]
    assert min(game.std(), crop.std()) > 10 and (game[0] != game[-1]).any()
    film = imageio.imread(room / "b.gif", plugin="pillow", index=None)
    assert film.shape[2:] == (560, 3) and len(film) in (2, 3)  # 9 steps at 50 a second, shown at 10
    rows = {"a.png": 4, "b.png": 1}  # of a strip: game, crop, reconstruction, dream
    for name, count in rows.items():
        strip = imageio.imread(room / name)
        assert strip.shape == (160 * count, 8 * 160, 3) and strip.std() > 5, name


BAD = [
    (series, ["--vae", "nothing.json"], "nothing.json"),
    (model_module, ["norender", "nothing.json"], "nothing.json"),
    (model_module, ["norendr"], "norendr"),
    (model_module, ["norender", "agent.json", "--models", "empty", "-n", "1"], "vae/vae.json"),
    (dream_model, ["agent.json", "--temperature", "0"], "--temperature"),
    (dream_env, ["--rnn", "nothing.json"], "nothing.json"),
    (vae_train, ["--record", "empty"], "empty"),
    (rnn_train, ["--series", "empty/series.npz"], "empty/series.npz"),
    (train, ["-n", "1", "--models", "empty"], "vae/vae.json"),
    (extract, ["--episodes", "0"], "--episodes"),
    (extract, ["--workers", "2", "--worker", "2"], "--worker"),
]


@pytest.mark.parametrize(("script", "arguments", "named"), BAD)
def test_bad_input_gets_one_sentence_and_status_2(
    tmp_path, monkeypatch, capsys, script, arguments, named
):
    (tmp_path / "empty").mkdir()
    weights.save_controller(tmp_path / "agent.json", np.zeros(867))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.interrupts, "leave_at_once", lambda _: None)  # pytest hears Ctrl-C
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: script.main(arguments))
    errors = capsys.readouterr().err
    assert end.value.code == 2
    assert named in errors and errors.count("\n") == 1
