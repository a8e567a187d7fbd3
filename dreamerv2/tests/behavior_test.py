"""Returns, losses and gradients of actor and critic, and exploration, beside plain computations."""

import gymnasium
import numpy as np
import pytest

from dreamerv2 import config as settings
from dreamerv2.agent import Agent
from dreamerv2.annealing import anneal
from dreamerv2.behavior import Dream, StreamNorm, lambda_returns
from dreamerv2.distributions import OneHot
from dreamerv2.networks import Parameters
from dreamerv2.optimizer import Optimizer
from kit.command.errors import UserError
from kit.tensors.tf import tf

SPACES = gymnasium.spaces.Dict({"vector": gymnasium.spaces.Box(-9, 9, (3,), np.float32)})


@pytest.fixture
def eagerly():
    """Without graphs: one step is over sooner than it is compiled."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make(actions=None, **changes):
    config = settings.from_blocks(["smoke"]).update({"precision": 32, **changes})
    return Agent(config, SPACES, actions or gymnasium.spaces.Discrete(3))


def dream(agent, horizon, rows, weights=None):
    """Random states, actions and policies."""
    rng = np.random.default_rng(0)
    rssm = agent.world_model.rssm
    shape = (rows, rssm.variables)
    states = [
        rssm.of_classes(
            tf.constant(rng.integers(0, rssm.discrete, shape), tf.int32),
            tf.constant(rng.normal(size=(rows, rssm.deter_size)), tf.float32),
        )
        for _ in range(horizon + 1)
    ]
    actions = [tf.one_hot(rng.integers(0, 3, rows), 3) for _ in range(horizon)]
    logits = [tf.constant(rng.normal(size=(rows, 3)), tf.float32) for _ in range(horizon)]
    weights = rng.uniform(size=(horizon, rows)) if weights is None else weights
    policies = [OneHot(x) for x in logits]
    return Dream(states, actions, policies, None, tf.constant(weights, tf.float32)), logits


def test_lambda_returns_mix_the_returns_of_all_lengths():
    rng = np.random.default_rng(0)
    horizon, lambda_ = 4, 0.9
    reward, discount = rng.normal(size=(horizon, 2)), rng.uniform(size=(horizon, 2))
    value = rng.normal(size=(horizon + 1, 2))

    def after(t, n):
        """The return of n rewards from t, then the value."""
        if n == 0:
            return value[t]
        return reward[t] + discount[t] * after(t + 1, n - 1)

    for t in range(horizon):
        left = horizon - t
        mixed = sum((1 - lambda_) * lambda_ ** (n - 1) * after(t, n) for n in range(1, left))
        expected = mixed + lambda_ ** (left - 1) * after(t, left)
        found = lambda_returns(*(tf.constant(x) for x in (reward, value, discount)), lambda_)
        np.testing.assert_allclose(found[t], expected, rtol=1e-10)


def test_actor_loss_of_reinforce_and_its_gradient():
    agent = make(actor_ent=0.5)
    horizon, rows = 3, 4
    sequence, logits = dream(agent, horizon, rows)
    rng = np.random.default_rng(1)
    targets, values = rng.normal(size=(horizon, rows)), rng.normal(size=(horizon + 1, rows))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        sequence = sequence._replace(policies=[OneHot(x) for x in logits])
        loss, _ = agent.behavior._actor_loss(
            sequence, tf.constant(targets, tf.float32), tf.constant(values, tf.float32)
        )
    gradients = tape.gradient(loss, logits)
    total, weights = 0.0, sequence.weights.numpy()
    for t in range(horizon - 1):
        x = logits[t].numpy()
        p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        action, advantage = sequence.actions[t].numpy(), targets[t + 1] - values[t]
        entropy = -(p * np.log(p)).sum(-1)
        total += (weights[t] * ((np.log(p) * action).sum(-1) * advantage + 0.5 * entropy)).sum()
        slope = (action - p) * advantage[:, None]
        slope -= 0.5 * p * (np.log(p) + entropy[:, None])
        expected = -weights[t][:, None] * slope / ((horizon - 1) * rows)
        np.testing.assert_allclose(gradients[t], expected, atol=1e-6)
    assert float(loss) == pytest.approx(-total / ((horizon - 1) * rows), rel=1e-5)
    assert gradients[-1] is None  # the last action leads nowhere that a return is known of


def test_actor_loss_of_both_mixes_the_targets_in():
    agent = make(actor_grad="both", actor_grad_mix=0.25, actor_ent=0.0)
    sequence, _ = dream(agent, 3, 2, np.ones((3, 2)))
    targets = tf.constant(np.random.default_rng(1).normal(size=(3, 2)), tf.float32)
    values = tf.constant(np.random.default_rng(2).normal(size=(4, 2)), tf.float32)
    pairs = zip(sequence.policies[:2], sequence.actions[:2], strict=True)
    chances = np.stack([policy.log_prob(action) for policy, action in pairs])
    score = chances * (targets[1:] - values[:2]).numpy()
    expected = -(0.25 * targets[1:].numpy() + 0.75 * score).mean()
    loss, metrics = agent.behavior._actor_loss(sequence, targets, values)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(metrics["actor_grad_mix"]) == 0.25


def test_critic_loss_is_the_weighted_unit_normal():
    agent = make()
    sequence, _ = dream(agent, 3, 4)
    targets = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    loss, _ = agent.behavior._critic_loss(sequence, tf.constant(targets))
    p = agent.behavior.critic_parameters.read(tf.float32)
    said = agent.behavior.critic(p, *sequence.stacked(0, 3)).mode().numpy().reshape(3, 4)
    errors = 0.5 * (said - targets) ** 2 + 0.5 * np.log(2 * np.pi)
    assert float(loss) == pytest.approx((errors * sequence.weights.numpy()).mean(), rel=1e-5)


def test_dreams_weigh_by_the_discounts_before_each_step():
    agent = make(discount=0.9)
    rows, model = 5, agent.world_model
    start = model.rssm.of_classes(tf.zeros((rows, 4), tf.int32), tf.zeros((rows, 16)))
    noise = agent._dream_noise(rows)[0]
    terminal = tf.constant([0.0, 1, 0, 1, 0])
    sequence = agent.behavior.imagine(model.read(), start, terminal, noise)
    np.testing.assert_allclose(sequence.discounts[0], 0.9 * (1 - terminal), rtol=1e-6)
    p, features = model.read(), sequence.stacked(1, 3)
    said = model.discount(p, *features).mean.numpy().reshape(2, rows)
    np.testing.assert_allclose(sequence.discounts[1:], said, rtol=1e-5)
    expected = np.cumprod(np.concatenate([np.ones((1, rows)), sequence.discounts[:-1]]), 0)
    np.testing.assert_allclose(sequence.weights, expected, rtol=1e-5)


def test_the_slow_critic_is_a_copy_every_so_many_steps():
    agent = make(slow_target_update=2, slow_target_fraction=0.5)
    behavior = agent.behavior
    fast, slow = behavior.critic_parameters.variables, behavior.slow_parameters.variables
    name = "critic/out/bias"
    values = []
    for step in range(4):
        fast[name].assign([step + 1.0])
        behavior._update_slow_critic()
        values.append(float(slow[name][0]))
    assert values == [1.0, 1.0, 2.0, 2.0]  # all, nothing, half of 3, nothing


@pytest.mark.parametrize(
    ("space", "expected"),
    [(gymnasium.spaces.Discrete(3), "reinforce"), (gymnasium.spaces.Box(-1, 1, (2,)), "dynamics")],
)
def test_auto_chooses_the_gradient_by_the_actions(space, expected):
    assert make(space).behavior.gradient == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"actor_grad": "none"}, "--actor_grad: expected one of auto"),
        ({"actor.dist": "trunc_normal"}, "--actor.dist: expected auto or onehot"),
        ({"critic.dist": "normal"}, "--critic.dist: expected mse or binary"),
        ({"disag_target": "image", "expl_behavior": "Plan2Explore"}, "--disag_target"),
        ({"actor_opt.opt": "lion"}, "--actor_opt.opt: expected one of adam"),
        ({"encoder.mlp_keys": "$^"}, "choose no observation; there are: vector"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(UserError, match=words.replace(".", r"\.")):
        make(**changes)


def test_dynamics_backpropagation_reaches_the_actor_through_the_model(eagerly):
    agent = make(gymnasium.spaces.Box(-1, 1, (2,), np.float32), actor_ent=0.0)
    batch = random_batch(agent, box=True)
    before = agent.behavior.actor_parameters.variables["actor/out/kernel"].numpy()
    metrics = agent.train(batch)
    assert metrics["actor_grad_norm"] > 0
    assert metrics["actor_loss"] == pytest.approx(-metrics["critic_target"], rel=0.5)
    after = agent.behavior.actor_parameters.variables["actor/out/kernel"].numpy()
    assert np.abs(after - before).max() > 0


@pytest.mark.parametrize("name", ["Plan2Explore", "ModelLoss", "Random"])
def test_explorers_learn_and_act(name, eagerly):
    agent = make(expl_behavior=name, expl_extr_scale=0.5)
    metrics = agent.train(random_batch(agent))
    if name != "Random":
        assert np.isfinite(metrics["expl_expl_loss"])
        assert np.isfinite(metrics["expl_actor_loss"])
    rows = {"vector": np.zeros((6, 3), np.float32), "is_first": np.ones(6, bool)}
    actions, _ = agent.policy(rows, None, "explore")
    np.testing.assert_array_equal(actions.sum(-1), np.ones(6))


def test_disagreement_is_the_spread_of_the_ensemble():
    agent = make(expl_behavior="Plan2Explore", disag_action_cond=False, disag_models=2)
    sequence, _ = dream(agent, 2, 3)
    explorer = agent.explorer
    own = explorer.parameters.read(tf.float32)
    first, second = (head(own, *sequence.stacked(0, 3)).mode() for head in explorer._heads)
    expected = (np.abs(first - second) / 2).mean(-1).reshape(3, 3)
    found = explorer._reward(sequence, agent.world_model.read())
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def random_batch(agent, box=False):
    rng, size = np.random.default_rng(0), (4, 8)
    first = np.zeros(size, bool)
    first[:, 0] = True
    one_hots = np.eye(3, dtype=np.float32)[rng.integers(3, size=size)]
    action = rng.uniform(-1, 1, (*size, 2)).astype(np.float32) if box else one_hots
    return {
        "vector": rng.normal(size=(*size, 3)).astype(np.float32),
        "action": action,
        "reward": rng.normal(size=size).astype(np.float32),
        "is_first": first,
        "is_terminal": np.zeros(size, bool),
    }


def test_stream_norm_divides_by_the_running_magnitude():
    norm = StreamNorm({"momentum": 0.5, "scale": 2.0, "eps": 0.0})
    rewards = tf.constant([[3.0, -5.0]])  # magnitude 4; running: .5 * 1 + .5 * 4
    normed, metrics = norm(rewards)
    np.testing.assert_allclose(normed, [[3 / 2.5 * 2, -5 / 2.5 * 2]], rtol=1e-6)
    assert float(metrics["reward_mean"]) == -1
    assert float(norm.magnitude) == 2.5


@pytest.mark.parametrize(
    ("text", "step", "expected"),
    [
        (0.3, 5, 0.3),
        ("linear(1,0,10)", 4, 0.6),
        ("linear(1,0,10)", 40, 0.0),
        ("warmup(10,3)", 5, 1.5),
        ("exp(1,0,10)", 20, 0.25),
        ("horizon(10,20,4)", 2, 1 - 1 / 15),
    ],
)
def test_annealed_numbers(text, step, expected):
    assert float(anneal(text, tf.constant(step))) == pytest.approx(expected, rel=1e-6)


def test_text_that_is_no_schedule_is_refused():
    with pytest.raises(UserError, match="expected a number, linear"):
        anneal("linear(1,2)", tf.constant(0))


@pytest.mark.parametrize("name", ["adam", "adamax", "momentum", "sgd"])
def test_optimizers_take_the_published_steps(name):
    parameters = Parameters(np.random.default_rng(0))
    parameters.constant("w", 2, 1.0)
    rate, decay = 0.1, 0.01
    config = {"opt": name, "lr": rate, "eps": 1e-5, "clip": 1.0, "wd": decay}
    optimizer = Optimizer("model", parameters, config)
    w, first, second = np.ones(2), np.zeros(2), np.zeros(2)
    for t in (1, 2, 3):
        with tf.GradientTape() as tape:
            value = parameters.variables["w"]
            loss = tf.reduce_sum(tf.square(value) * [3.0, 4.0])
        metrics = optimizer.step(tape, loss)
        gradient = 2 * w * [3.0, 4.0]
        norm = np.linalg.norm(gradient)
        assert float(metrics["model_grad_norm"]) == pytest.approx(norm, rel=1e-5)
        gradient /= max(norm, 1.0)
        w = w * (1 - decay)
        if name == "sgd":
            w = w - rate * gradient
        elif name == "momentum":
            first = 0.9 * first + gradient
            w = w - rate * first
        else:
            first = 0.9 * first + 0.1 * gradient
            if name == "adam":
                second = 0.999 * second + 0.001 * gradient**2
                size = np.sqrt(second / (1 - 0.999**t)) + 1e-5 / np.sqrt(1 - 0.999**t)
            else:
                second = np.maximum(0.999 * second, np.abs(gradient))
                size = second + 1e-5
            w = w - rate * first / (1 - 0.9**t) / size
        np.testing.assert_allclose(value, w, rtol=1e-4)
