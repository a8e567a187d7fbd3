"""The Doom room as a whole: V and C by numbers, the real game, and every stage at smoke size."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import psutil
import pytest
from gymnasium.utils.env_checker import check_env

from kit.batches.rollout import run_rollouts
from kit.command import cli, mpi
from kit.command.errors import UserError
from kit.files import atomic, weights
from kit.tensors import precision
from kit.tensors.tf import tf

import extract
import model
import policies
import series
import train
import vae_train
from agent import Controllers, RealWorld, WorldModel, simulate
from doomreal import DoomReal
from policies import blind_policy, random_policy
from rnn import MDNRNN
from vae import VAE
from world import SHARED_BYTES

ROOM = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def vae():
    result = VAE(64)
    rng = np.random.default_rng(1)
    for variable in result.variables:
        if len(variable.shape) == 1:  # biases that are not zero
            variable.assign(rng.standard_normal(variable.shape) * 0.1)
    return result


@pytest.fixture(scope="module")
def world():
    result = RealWorld(WorldModel.random(3))
    yield result
    result.close()


def keras_encoder(vae):
    """mu of the same variables in plain Keras layers."""
    layers = [tf.keras.layers.Conv2D(n, 4, 2, activation="relu") for n in (32, 64, 128, 256)]
    model = tf.keras.Sequential(
        [tf.keras.Input((64, 64, 3)), *layers, tf.keras.layers.Flatten(), tf.keras.layers.Dense(64)]
    )
    model.set_weights([v.numpy() for v in vae.variables[:10]])
    return model


def keras_decoder(vae):
    """The decoder of the same variables in plain Keras layers, with all four deconvolutions."""
    sizes = ((128, 5, "relu"), (64, 5, "relu"), (32, 6, "relu"), (3, 6, "sigmoid"))
    model = tf.keras.Sequential(
        [
            tf.keras.Input((64,)),
            tf.keras.layers.Dense(1024),
            tf.keras.layers.Reshape((1, 1, 1024)),
            *(tf.keras.layers.Conv2DTranspose(n, k, 2, activation=a) for n, k, a in sizes),
        ]
    )
    model.set_weights([v.numpy() for v in vae.variables[12:]])
    return model


def test_parameter_counts_are_the_papers():
    assert VAE(32).parameter_count == 4_348_547
    assert VAE(64).parameter_count == 4_446_915
    assert Controllers.size("zch") == 1088


def test_controller_sizes_of_the_other_inputs():
    assert [Controllers.size(name) for name in ("z", "zc", "zh")] == [64, 576, 576]
    assert Controllers.size("z_hidden") == 64 * 40 + 40 + 40 + 1


def test_encoder_equals_keras_layers(vae):
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    expected = keras_encoder(vae)(frames / 255.0).numpy()
    np.testing.assert_allclose(vae.encode(frames)[0], expected, atol=1e-5)


def test_decoder_with_dense_and_pixel_forms_equals_conv2dtranspose(vae):
    z = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    expected = keras_decoder(vae)(z).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(vae.decode(z), expected, atol=1e-5)


def test_gradients_of_v_equal_those_of_keras_layers(vae):
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    noise = np.zeros((3, 64), np.float32)  # then z is mu, and log_var has no part in the error
    encoder, decoder = keras_encoder(vae), keras_decoder(vae)
    with tf.GradientTape() as tape:
        ours = tf.reduce_sum(vae.losses(frames, noise)[0])
    gradients = tape.gradient(ours, [*vae.variables[:10], *vae.variables[12:]])
    with tf.GradientTape() as tape:
        difference = decoder(encoder(frames / 255.0)) - frames / 255.0
        theirs = tf.reduce_sum(tf.square(difference))
    variables = encoder.trainable_variables + decoder.trainable_variables
    for gradient, expected in zip(gradients, tape.gradient(theirs, variables), strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(gradient / scale, expected / scale, atol=1e-4)


def test_vae_losses_against_numpy(vae):
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    noise = np.random.default_rng(1).standard_normal((2, 64)).astype(np.float32)
    mu, logvar = (v.astype(np.float64) for v in vae.encode(frames))
    error, kl = vae.losses(frames, noise)
    pixels = vae.decode(mu + np.exp(logvar / 2) * noise) - frames / 255.0
    np.testing.assert_allclose(error, (pixels**2).sum((1, 2, 3)), rtol=1e-4)
    divergence = -0.5 * (1 + logvar - mu**2 - np.exp(logvar)).sum(1)
    np.testing.assert_allclose(kl, np.maximum(divergence, 32), rtol=1e-4)


def test_vae_json_round_trip_and_order(vae, tmp_path):
    vae.save(tmp_path / "vae.json")
    other = VAE(64, seed=5).load(tmp_path / "vae.json")
    for one, two in zip(vae.variables, other.variables, strict=True):
        np.testing.assert_allclose(one, two, atol=0.5e-4 + 1e-7)
    raw = atomic.read_json(tmp_path / "vae.json")
    assert [np.shape(a) for a in raw[:2]] == [(4, 4, 3, 32), (32,)]
    assert [np.shape(a) for a in raw[-2:]] == [(6, 6, 3, 32), (3,)]
    with pytest.raises(UserError, match=r"vae\.json"):
        VAE(32).load(tmp_path / "vae.json")


@pytest.mark.parametrize("inputs", ["z", "zc", "zh", "zch"])
def test_controller_is_tanh_of_a_weighted_sum(inputs):
    rng = np.random.default_rng(0)
    parameters = rng.standard_normal((3, Controllers.size(inputs)))
    observation = rng.standard_normal((2, 64 + 1024)).astype(np.float32)
    z, c, h = np.split(observation.astype(np.float64), [64, 576], axis=1)
    seen = np.concatenate([{"z": z, "c": c, "h": h}[name] for name in inputs], axis=1)
    action = Controllers(parameters, inputs).act(observation, np.array([2, 0]))
    np.testing.assert_allclose(action, np.tanh((seen * parameters[[2, 0]]).sum(1)), atol=2e-5)


def test_controller_with_a_hidden_layer():
    rng = np.random.default_rng(0)
    parameters = rng.standard_normal((1, Controllers.size("z_hidden"))) * 0.1
    observation = rng.standard_normal((1, 64 + 1024)).astype(np.float32)
    bias, matrix, last = np.split(parameters[0], [40, 40 + 64 * 40])
    units = np.tanh(bias + observation[0, :64] @ matrix.reshape(64, 40))
    expected = np.tanh(last[0] + units @ last[1:])
    action = Controllers(parameters, "z_hidden").act(observation, np.array([0]))
    np.testing.assert_allclose(action, [expected], atol=1e-5)


def test_uniform_random_policy_lasts_as_long_as_published(world):
    # 226 +- 93 measured at skill 4; the paper says 210 +- 108; the standard error here is 12
    seeds = np.arange(5000, 5060)
    _, lengths = run_rollouts(world, random_policy(seeds), seeds, batch=20)
    assert 190 < lengths.mean() < 262
    assert 50 < lengths.std() < 150


def test_blind_policy_turns_by_each_episodes_own_clock():
    act = blind_policy(np.arange(2))
    first = [float(act(None, np.array([0]))[0]) for _ in range(320)]  # the other joins after that
    assert first == [-1] * 60 + [1] * 125 + [-1] * 125 + [1] * 10
    np.testing.assert_array_equal(act(None, np.array([0, 1])), [1, -1])


def test_blind_policy_outlives_a_random_one_by_far(world):
    # 858 +- 62 on 60 selection seeds; a random player has 226 +- 93
    seeds = np.arange(5000, 5020)
    _, lengths = run_rollouts(world, blind_policy(seeds), seeds, batch=20, max_length=600)
    assert lengths.mean() > 400


def test_batched_simulate_equals_one_rollout_at_a_time(world):
    rng = np.random.default_rng(0)
    controllers = Controllers(rng.standard_normal((4, 1088)) * 0.5)
    seeds = np.array([11, 12, 13, 14])
    together = simulate(world, controllers, seeds, batch=3)
    for k in range(4):
        alone = simulate(world, Controllers(controllers.parameters[k : k + 1]), seeds[k : k + 1])
        assert (together[0][k], together[1][k]) == (alone[0][0], alone[1][0])
    assert len(set(together[1].tolist())) > 1


def test_game_is_fixed_by_its_seed_and_pictures_change():
    env = DoomReal()
    try:
        runs = []
        for _ in range(2):
            observations = [env.reset(seed=7)[0]]
            observations += [env.step([np.sin(t / 9)])[0] for t in range(80)]
            runs.append(np.stack(observations))
        np.testing.assert_array_equal(runs[0], runs[1])
        assert runs[0].shape == (81, 64, 64, 3) and runs[0].std(axis=0).max() > 20
        assert 40 < runs[0].mean() < 120  # grey floor, brown wall: not black, not inverted
    finally:
        env.close()


def test_real_game_passes_gymnasiums_checker():
    env = DoomReal()
    try:
        check_env(env, skip_render_check=True)
    finally:
        env.close()


def test_no_game_outlives_a_killed_process():
    code = "from doomreal import DoomReal; env = DoomReal(); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOM, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        games = [c for c in psutil.Process(process.pid).children() if c.name() == "vizdoom"]
        process.kill()
    assert len(games) == 1
    _, alive = psutil.wait_procs(games, timeout=10)
    assert [game for game in alive if game.status() != psutil.STATUS_ZOMBIE] == []


def test_no_folder_of_the_game_outlives_a_close_that_is_interrupted(tmp_path):
    code = (
        "import shutil; from unittest.mock import patch; from doomreal import DoomReal\n"
        "env = DoomReal()\n"
        "with patch.object(shutil, 'rmtree', side_effect=KeyboardInterrupt):\n"
        "    env.close()"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOM, env=environment, stderr=subprocess.PIPE
    )
    assert b"KeyboardInterrupt" in done.stderr
    deadline = time.monotonic() + 10
    while any(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []


def test_recorded_frame_precedes_its_action():
    env = DoomReal()
    try:
        args = extract.parse(["--max_frames", "60", "--min_frames", "0"])
        frames, actions = extract.record_episode(env, 9, args)
        assert frames.shape == (60, 64, 64, 3) and actions.dtype == np.float16
        observation, _ = env.reset(seed=9)
        for frame, action in zip(frames, actions, strict=True):
            np.testing.assert_array_equal(frame, observation)
            observation, *_ = env.step([action])
    finally:
        env.close()


def test_a_part_of_the_random_episodes_walks_to_and_fro():
    lives = [list(itertools.islice(policies.random_moves(s, 10, 0.5), 2000)) for s in range(200)]
    walks = [moves for moves in lives if set(moves) <= {-1, 1}]
    assert 80 < len(walks) < 120
    for moves in walks:
        held = [len(list(same)) for _, same in itertools.groupby(moves)][1:-1]  # whole ones
        assert min(held) > 9 and max(held) < 300 and max(held) <= 3 * (min(held) + 1)
    restless = next(moves for moves in lives if not set(moves) <= {-1, 1})
    held = [len(list(same)) for _, same in itertools.groupby(restless)]
    assert max(held) == 10 and abs(np.mean(held) - 5.5) < 0.5
    assert extract.parse([]).wander == 0


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A copy of this room without data, after extract.bash and gpu_jobs.bash at smoke size."""
    folder = tmp_path_factory.mktemp("doomrnn") / "doomrnn"
    folder.mkdir()
    for path in [*ROOM.glob("*.py"), *ROOM.glob("*.bash")]:
        shutil.copy(path, folder)
    for name in ("fast", "study"):
        shutil.copytree(ROOM / name, folder / name)
    run(folder, "bash", "extract.bash", "--preset", "smoke")
    run(folder, "bash", "gpu_jobs.bash", "--preset", "smoke")
    return folder


def run(folder, *command, status=0):
    """Run a command in the room; returns its standard output."""
    environment = os.environ | {"PYTHON": sys.executable, "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable if word == "python" else word for word in command]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def test_stages_leave_the_files_that_the_reference_has(room):
    for name in ("vae", "rnn", "initial_z"):
        assert (room / "tf_models" / f"{name}.json").stat().st_size > 1000
    names = ["tf_vae/vae.settings.json", "tf_vae/loss.png", "tf_rnn/loss.png", "tf_rnn/dream.png"]
    names += [f"tf_vae/reconstructions.{at}png" for at in ("", "0.", "3.", "6.")]
    for name in names:
        assert (room / name).exists(), name
    with np.load(room / "series" / "series.npz", allow_pickle=False) as series:
        frames = series["length"].sum()
        assert series["mu"].shape == series["logvar"].shape == (frames, 64)
        assert series["action"].shape == (frames,)


def test_a_second_recording_run_plays_nothing_again(room):
    before = {path: path.stat().st_mtime_ns for path in (room / "record").iterdir()}
    run(room, "bash", "extract.bash", "--preset", "smoke")
    assert before == {path: path.stat().st_mtime_ns for path in (room / "record").iterdir()}


def test_controller_training_and_playing(room, monkeypatch, capsys):
    run(room, "python", "train.py", "--preset", "smoke", "-n", "2")
    agent = "log/doomrnn.cma.2.6.best.json"
    assert (room / agent).exists()
    play = ("doomrnn", "norender", agent, "7", "--episodes", "3", "--max_length", "50")
    lines = run(room, "python", "model.py", *play, "-n", "2").splitlines()
    assert lines[-1].split()[::2] == ["seed", "average_reward", "stdev", "stderr", "median"]
    assert [line.split()[3] for line in lines[-4:-1]] == ["7", "8", "9"]
    monkeypatch.chdir(room)
    monkeypatch.setattr(precision, "use_threads", lambda *_: None)  # too late here
    model.main([*play, "-n", "1"])  # the seed fixes the run, any number of ranks scores the same
    assert capsys.readouterr().out.splitlines()[-4:] == lines[-4:]
    model.main(["doomreal", "render", agent, "--max_length", "12", "--video", "a.mp4"])
    film = imageio.imread(room / "a.mp4", plugin="FFMPEG")
    assert film.shape == (12, 428, 1280, 3)
    game, crop = film[:, 40:300, :512], film[:, 40:300, 540:880]
    assert min(game.std(), crop.std()) > 10 and (game[0] != game[-1]).any()


def test_interrupted_vae_training_equals_an_uninterrupted_one(room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    monkeypatch.setattr(precision, "use_towers", lambda: 2)  # too late here
    command = ["--preset", "smoke", "--steps", "12"]
    vae_train.main([*command, "--output", "whole"])
    test = vae_train.Training.test

    def interrupt(training, *args):
        os.kill(os.getpid(), signal.SIGTERM)
        return test(training, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(vae_train.Training, "test", interrupt)
        vae_train.main([*command, "--output", "halved"])
    capsys.readouterr()
    vae_train.main([*command, "--output", "halved"])
    assert "going on from step 3" in capsys.readouterr().out
    whole, halved = ((room / name / "vae.json").read_bytes() for name in ("whole", "halved"))
    assert whole == halved


def test_damaged_recording_is_skipped_counted_and_named(room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    monkeypatch.setattr(precision, "use_threads", lambda *_: None)  # too late here
    bad = room / "record" / "1000001.npz"
    bad.write_bytes(b"not a zip")
    series.main(["--preset", "smoke", "--output", "series2"])
    output = capsys.readouterr().out
    assert "1000001.npz" in output and "1 damaged" in output
    bad.unlink()


def test_episodes_that_do_not_fit_into_memory_are_refused_before_the_start():
    base = mpi.TENSORFLOW_BYTES
    args = ["-n", "2", "--population", "64", "-e", "4", "--eval_episodes", "10"]
    assert train.rank_bytes(train.parse(args)) == (base + 128 * 80e3, 0)
    args += ["--eval_world", "doomreal", "--batch", "100"]
    assert train.rank_bytes(train.parse(args)) == (
        base + 100 * 80e3 + 5 * 21e6,
        5 * SHARED_BYTES["doomreal"],
    )
    args = ["norender", "--episodes", "100000", "--batch", "100000", "-n", "1"]
    with pytest.raises(UserError, match=r"needs about 2\.1e\+03 GB of memory.*--batch"):
        model.main(["doomreal", *args])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("norender", "--video", "a.mp4"), "--video needs render"),
        (("render", "--csv", "a.csv"), "--csv needs norender"),
        (("render", "--policy", "random"), "--policy random needs norender"),
        (("render", "--policy", "blind"), "--policy blind needs norender"),
    ],
)
def test_what_the_mode_would_leave_undone_is_refused(flags, said):
    with pytest.raises(UserError, match=said):
        model.parse(["doomreal", *flags])


def test_all_stages_and_rounds_from_nothing_to_an_agent(room, tmp_path):
    others = shutil.ignore_patterns("log", "checkpoint")  # of another test's train.py
    folder = shutil.copytree(room, tmp_path / "doomrnn", ignore=others)
    agent = "log/doomrnn.cma.2.6.best.json"
    assert "expected a round's number" in run(folder, "bash", "next_round.bash", agent, status=2)
    last = run(folder, "bash", "from_nothing.bash", "--preset", "smoke").splitlines()[-1]
    scored = last.split(": ")[1].split()
    assert "median" in run(folder, *scored, "--episodes", "2", "--max_length", "20")
    for number, before in ((2, "tf_models"), (3, "round2")):
        ours = folder / f"round{number}"
        for turn in (ours / "first", ours):
            assert (turn / agent).exists() and (turn / "advantage.json").exists()
        assert len(list((ours / "record").glob("*.npz"))) > 0
        assert (ours / "vae.json").read_bytes() == (folder / before / "vae.json").read_bytes()
        size = MDNRNN(64).shapes  # M: a few steps of at most 5e-4 on from the one before
        files = (folder / before / "rnn.json", ours / "rnn.json")
        first, second = (weights.load_weights(path, size) for path in files)
        moved = [np.abs(a - b).max() for a, b in zip(first, second, strict=True)]
        assert 0 < max(moved) < 0.005


BAD = [
    (series, ["--vae", "nothing.json"], "nothing.json"),
    (model, ["doomreal", "norender", "nothing.json"], "nothing.json"),
    (model, ["doomtwo", "norender"], "doomtwo"),
    (vae_train, ["--record", "empty"], "empty"),
    (train, ["-n", "1", "--models", "empty"], "empty"),
    (extract, ["--episodes", "0"], "--episodes"),
    (extract, ["--workers", "2", "--worker", "2"], "--worker"),
]


@pytest.mark.parametrize(("script", "arguments", "named"), BAD)
def test_bad_input_gets_one_sentence_and_status_2(
    tmp_path, monkeypatch, capsys, script, arguments, named
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.interrupts, "leave_at_once", lambda _: None)  # pytest hears Ctrl-C
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: script.main(arguments))
    errors = capsys.readouterr().err
    assert end.value.code == 2
    assert named in errors and errors.count("\n") == 1
