"""The world model: parameters, losses, the RSSM's steps, and the agent around it."""

import gymnasium
import numpy as np
import pytest

from dreamerv2 import config as settings
from dreamerv2 import limits, networks
from dreamerv2.agent import Agent
from dreamerv2.distributions import Normal, OneHots
from dreamerv2.rssm import State, kl_loss
from kit.command.errors import UserError
from kit.tensors.tf import tf

IMAGE = gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
GREY = gymnasium.spaces.Box(0, 255, (64, 64, 1), np.uint8)
VECTOR = gymnasium.spaces.Box(-9, 9, (17,), np.float32)
BOX = gymnasium.spaces.Box(-1, 1, (6,), np.float32)
# Counted in the original 2.2.0 itself: python -m dreamerv2.study.parity --counts
COUNTS = {
    "defaults": ([], {"image": IMAGE}, BOX, 28_433_669, 1_305_612, 1_301_201),
    "atari": (["atari"], {"image": GREY}, 6, 19_968_179, 1_133_606, 1_131_601),
    "crafter": (["crafter"], {"image": IMAGE}, 17, 28_459_589, 1_310_817, 1_304_401),
    "dmc_vision": (["dmc_vision"], {"image": IMAGE}, BOX, 13_656_772, 976_012, 971_601),
    "dmc_proprio": (["dmc_proprio"], {"vector": VECTOR}, BOX, 3_458_066, 976_012, 971_601),
}


@pytest.fixture
def eagerly():
    """Without graphs: one step is over sooner than it is compiled."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make(spaces=None, actions=3, blocks=("smoke",), **changes):
    config = settings.from_blocks(list(blocks)).update({"precision": 32, **changes})
    actions = gymnasium.spaces.Discrete(actions) if isinstance(actions, int) else actions
    return Agent(config, gymnasium.spaces.Dict(spaces or {"image": IMAGE}), actions)


def batch(agent, size=(4, 8), seed=0):
    rng = np.random.default_rng(seed)
    first, terminal = np.zeros(size, bool), np.zeros(size, bool)
    first[:, 0] = first[1, 4] = terminal[1, 3] = True
    return {
        "image": rng.integers(0, 256, (*size, 64, 64, 3), np.uint8),
        "vector": rng.normal(size=(*size, 17)).astype(np.float32),
        "action": np.eye(agent.actions, dtype=np.float32)[rng.integers(agent.actions, size=size)],
        "reward": rng.normal(size=size).astype(np.float32),
        "is_first": first,
        "is_terminal": terminal,
    }


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_many_as_the_originals(name):
    blocks, spaces, actions, model, actor, critic = COUNTS[name]
    agent = make(spaces, actions, blocks)
    assert agent.world_model.parameters.count == model
    assert agent.behavior.actor_parameters.count == actor
    assert agent.behavior.critic_parameters.count == critic


def test_model_loss_is_the_scaled_sum_of_its_parts(eagerly):
    scales = {"loss_scales.kl": 0.1, "loss_scales.reward": 2.0, "loss_scales.discount": 5.0}
    metrics = make(**scales).train(batch(make()))
    parts = metrics["image_loss"] + 0.1 * metrics["kl_loss"]
    parts += 2 * metrics["reward_loss"] + 5 * metrics["discount_loss"]
    assert metrics["model_loss"] == pytest.approx(parts, rel=1e-6)


def test_losses_against_numpy():
    agent = make({"vector": VECTOR}, clip_rewards="tanh", discount=0.9)
    model, data = agent.world_model, agent._time_major(batch(agent))
    p, uniform = model.read(), agent._noise((8, 4, model.rssm.variables))
    _, found, metrics = model.loss(p, data, uniform)
    features = (found.state.stoch, found.state.deter)
    half = 0.5 * np.log(2 * np.pi)

    def flat(key):
        return data[key].numpy().reshape(32, -1)

    vector = model.decoder(p, *features)["vector"].numpy()
    expected = (0.5 * (vector - flat("vector")) ** 2 + half).sum(-1).mean()
    assert float(metrics["vector_loss"]) == pytest.approx(expected, rel=1e-5)
    reward = model.reward(p, *features).mode().numpy()
    expected = (0.5 * (reward - np.tanh(flat("reward")[:, 0])) ** 2 + half).mean()
    assert float(metrics["reward_loss"]) == pytest.approx(expected, rel=1e-5)
    chance = model.discount(p, *features).mean.numpy()
    target = 0.9 * (1 - flat("is_terminal")[:, 0])
    expected = -(target * np.log(chance) + (1 - target) * np.log(1 - chance)).mean()
    assert float(metrics["discount_loss"]) == pytest.approx(expected, rel=1e-4)


def test_kl_loss_balances_and_keeps_free_nats():
    rng = np.random.default_rng(0)
    a, b = (tf.constant(rng.normal(size=(5, 2, 4)), tf.float32) for _ in range(2))
    divergence = OneHots(a).kl(OneHots(b)).numpy()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([a, b])
        loss, value = kl_loss(OneHots(a), OneHots(b), False, 0.8, 0.0, True)
        plain = tf.reduce_mean(OneHots(a).kl(OneHots(b)))
    np.testing.assert_allclose(value, divergence, rtol=1e-5)
    assert float(loss) == pytest.approx(divergence.mean(), rel=1e-5)
    for logits, share in ((a, 0.2), (b, 0.8)):
        expected = share * tape.gradient(plain, logits).numpy()
        np.testing.assert_allclose(tape.gradient(loss, logits), expected, atol=1e-6)
    free = float(divergence.mean()) * 1.1
    assert float(kl_loss(OneHots(a), OneHots(b), False, 0.8, free, True)[0]) == pytest.approx(free)
    each = np.maximum(divergence, free).mean()
    found = kl_loss(OneHots(a), OneHots(b), False, 0.8, free, False)[0]
    assert float(found) == pytest.approx(each, rel=1e-5)
    forward = OneHots(b).kl(OneHots(a)).numpy().mean()
    found = kl_loss(OneHots(a), OneHots(b), True, 0.5, 0.0, True)[0]
    assert float(found) == pytest.approx(forward, rel=1e-5)


@pytest.mark.parametrize("changes", [{}, {"rssm.discrete": 0}, {"rssm.norm": "layer"}])
def test_a_sequence_goes_as_single_steps_do(changes):
    agent = make({"vector": VECTOR}, **changes)
    model, data = agent.world_model, agent._time_major(batch(agent))
    rssm, p = model.rssm, model.read()
    uniform = agent._noise((8, 4, rssm.variables))
    embed = model.encoder(p, {"vector": tf.reshape(data["vector"], (32, 17))}, tf.float32)
    embed = tf.reshape(embed, (8, 4, -1))
    states, _ = rssm.observe(p, embed, data["action"], data["is_first"], uniform)
    state = State(tf.ones((4, rssm.stoch_size)), tf.ones((4, rssm.deter_size)))  # forgotten
    for t in range(8):
        first = data["is_first"][t]
        state = rssm.update(p, state, data["action"][t], embed[t], first, uniform[t])
        np.testing.assert_allclose(states.stoch[t], state.stoch, atol=1e-5)
        np.testing.assert_allclose(states.deter[t], state.deter, atol=1e-5)


def test_an_unseen_step_is_a_sample_of_the_prior():
    agent = make({"vector": VECTOR})
    rssm, p = agent.world_model.rssm, agent.world_model.read()
    action, uniform = tf.one_hot([[0, 1], [2, 0]], 3), agent._noise((2, 2, rssm.variables))
    first = tf.constant([[True, True], [False, False]])
    embed, seen = tf.random.normal((2, 2, 16)), tf.constant([[True, True], [False, False]])
    states, _ = rssm.observe(p, embed, action, first, uniform, seen)
    before = State(states.stoch[0], states.deter[0])
    expected = rssm.imagine(p, before, action[1], uniform[1])
    np.testing.assert_allclose(states.deter[1], expected.deter, atol=1e-6)
    np.testing.assert_allclose(states.stoch[1], expected.stoch, atol=1e-6)


def test_a_member_of_the_ensemble_speaks_for_each_step():
    agent = make({"vector": VECTOR}, **{"rssm.ensemble": 3})
    rssm, p = agent.world_model.rssm, agent.world_model.read()
    deter = tf.random.normal((4, 2, rssm.deter_size))
    single = [rssm.prior_statistics(p, deter, tf.constant(k)).numpy() for k in range(3)]
    assert np.abs(single[0] - single[1]).max() > 0
    mixed = rssm.prior_statistics(p, deter, tf.constant([2, 0, 1, 2])).numpy()
    for t, k in enumerate([2, 0, 1, 2]):
        np.testing.assert_array_equal(mixed[t], single[k][t])


def test_gaussian_latents_have_their_standard_deviation():
    agent = make({"vector": VECTOR}, **{"rssm.discrete": 0, "rssm.std_act": "softplus"})
    rssm = agent.world_model.rssm
    said = tf.constant(np.random.default_rng(0).normal(size=(2, 8)), tf.float32)
    distribution = rssm.distribution(said)
    assert isinstance(distribution, Normal)
    np.testing.assert_allclose(distribution.std, np.log1p(np.exp(said[:, 4:])) + 0.1, rtol=1e-5)


def test_gradients_stop_at_heads_that_are_not_named():
    agent = make({"vector": VECTOR}, grad_heads=["reward"])
    model, data = agent.world_model, agent._time_major(batch(agent))
    uniform = agent._noise((8, 4, model.rssm.variables))
    config = model.config
    assert tuple(config.grad_heads) == ("reward",)
    variables = model.parameters.variables
    kernel = variables["encoder/dense0/kernel"]
    norms = {}
    for name in ("vector_loss", "reward_loss"):
        with tf.GradientTape() as tape:
            _, _, metrics = model.loss(model.read(), data, uniform)
        gradient = tape.gradient(metrics[name], kernel)
        norms[name] = 0.0 if gradient is None else float(tf.norm(gradient))
    assert norms["vector_loss"] == 0
    assert norms["reward_loss"] > 0


def test_policy_forgets_where_an_episode_begins_and_repeats_by_the_seed():
    rows = batch(make())["image"][:, 0]
    seen = {"image": rows, "is_first": np.ones(4, bool)}
    runs = []
    for _ in range(2):
        agent = make()
        first, state = agent.policy(seen, None, "train")
        second, _ = agent.policy(seen | {"is_first": np.zeros(4, bool)}, state, "train")
        runs.append(np.stack([first, second]))
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0].sum(-1), np.ones((2, 4)))
    agent = make(eval_state_mean=True)
    fresh, state = agent.policy(seen, None, "eval")
    again, _ = agent.policy(seen, state, "eval")
    np.testing.assert_array_equal(fresh, again)


def test_training_repeats_itself_from_a_checkpoint():
    agent, data = make({"vector": VECTOR}), batch(make({"vector": VECTOR}))
    agent.train(data)
    saved = {name: variable.numpy() for name, variable in agent.variables().items()}
    expected = agent.train(data)
    other = make({"vector": VECTOR}, seed=0)
    assert other.variables().keys() == saved.keys()
    for name, variable in other.variables().items():
        variable.assign(saved[name])
    assert other.train(data) == expected


def test_training_lowers_the_loss_also_in_bfloat16():
    agent = make({"vector": VECTOR}, precision=16, **{"model_opt.lr": 1e-3})
    data = batch(agent)
    losses = [agent.train(data)["model_loss"] for _ in range(60)]
    assert losses[-1] < 0.95 * losses[0]


def test_films_show_truth_model_and_error(eagerly):
    agent = make()
    data = batch(agent)
    film = agent.report(data)["openl_image"]
    assert film.shape == (8, 3 * 64, 4 * 64, 3) and film.dtype == np.uint8
    truth = film[:, :64].reshape(8, 64, 4, 64, 3).transpose(2, 0, 1, 3, 4)
    assert np.abs(truth.astype(int) - data["image"].astype(int)).max() <= 1
    model, error = film[:, 64:128].astype(float), film[:, 128:].astype(float)
    expected = (model - film[:, :64] + 255) / 2
    assert np.abs(error - np.clip(expected, 0, 255)).max() <= 2


def test_dreams_go_on_from_a_batch(eagerly):
    agent = make()
    state = agent.imagine_start(batch(agent))
    state, said = agent.imagine_step(state, np.eye(3, dtype=np.float32)[[0, 1, 2, 0]])
    assert said["image"].shape == (4, 64, 64, 3) and said["image"].dtype == np.uint8
    assert said["reward"].shape == (4,)
    assert ((said["discount"] > 0) & (said["discount"] < 1)).all()


def test_images_of_another_size_than_the_decoders_are_refused():
    with pytest.raises(UserError, match=r"decoder\.cnn_kernels make 64x64 pixels"):
        make({"image": gymnasium.spaces.Box(0, 255, (96, 96, 3), np.uint8)})


def test_every_activation_that_settings_may_name_exists():
    assert set(limits.ACTIVATIONS) == set(networks.ACTIVATIONS)


@pytest.mark.parametrize("zero", [True, False])
def test_zero_heads_make_untrained_rewards_and_values_zero(zero):
    agent = make({"vector": VECTOR}, zero_heads=zero)
    features = agent.world_model.rssm.feature_size
    states = tf.random.normal((7, features))
    critic, reward = agent.behavior.critic, agent.world_model.reward
    for head, parameters in (
        (critic, agent.behavior.critic_parameters),
        (critic, agent.behavior.slow_parameters),
        (reward, agent.world_model.parameters),
    ):
        said = head(parameters.read(tf.float32), states).mode()
        assert bool(tf.reduce_all(said == 0)) == zero


def test_a_share_of_every_categorical_is_uniform():
    rssm = make({"vector": VECTOR}, unimix=0.1).world_model.rssm
    said = np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)
    e = np.exp(said.reshape(2, 4, 4))
    expected = 0.9 * e / e.sum(-1, keepdims=True) + 0.1 / 4
    found = np.exp(rssm.distribution(tf.constant(said)).logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(UserError, match="--unimix"):
        make({"vector": VECTOR}, unimix=1.0)
