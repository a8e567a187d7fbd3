"""V and C by numbers, rollouts in the real game, and what is recorded."""

from pathlib import Path

import numpy as np
import pytest

from kit.batches.rollout import run_rollouts
from kit.command.errors import UserError
from kit.files import weights
from kit.tensors.tf import tf

import env as room_env
import extract
import policies
from agent import Controllers, RealWorld, WorldModel, simulate
from policies import random_policy
from rnn import FastStep, Rows
from vae import VAE

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
