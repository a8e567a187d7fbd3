"""The games: exactly one episode a rollout, whatever its company, and the physics of the cart."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from estool import agents, games
from estool import cartpole_swingup as cart
from kit.batches import lockstep
from kit.command.errors import UserError


def walk(env, policy, parameters, seed, limit=None):
    """An episode as gymnasium's documentation plays it: return and length."""
    controllers = agents.Controllers(policy, parameters[None])
    seen, _ = env.reset(seed=int(seed))
    total, steps, done = 0.0, 0, False
    while not done and steps != limit:
        action = controllers.act(np.asarray(seen, float)[None], np.zeros(1, int))[0]
        seen, reward, terminated, truncated, _ = env.step(action)
        total, steps, done = total + float(reward), steps + 1, terminated or truncated
    env.close()
    return total, steps


@pytest.mark.parametrize(
    ("name", "scale", "cap"),
    [
        ("CartPole-v1", 1.0, -1),
        ("CartPoleSwingUp-v0", 3.0, 300),
        ("BipedalWalker-v3", 1.0, 200),
        ("Hopper-v5", 1.0, -1),
        ("InvertedDoublePendulum-v5", 1.0, -1),
    ],
)
def test_a_rollout_is_one_episode_of_a_fresh_environment_whatever_its_company(name, scale, cap):
    game = games.find(name)
    alone = agents.Rollouts(game, batch=1)
    policy, rng = alone.policy, np.random.default_rng(3)
    params = scale * rng.standard_normal((7, policy.num_params))
    seeds = rng.integers(1_000_000, 2_000_000, 7)
    expected = [
        walk(gymnasium.make(game.env_id), policy, *pair, cap)
        for pair in zip(params, seeds, strict=True)
    ]
    assert len({steps for _, steps in expected}) > 2  # they end at different times
    for rollouts, order in (
        (alone, np.arange(7)),
        (agents.Rollouts(game, batch=3), np.arange(7)[::-1]),
    ):
        returns, lengths = rollouts(params[order], seeds[order], cap, True)
        np.testing.assert_array_equal(lengths, [expected[i][1] for i in order])
        np.testing.assert_array_equal(returns, [expected[i][0] for i in order])
        rollouts.close()


@pytest.mark.parametrize("name", ["Ant", "HalfCheetah", "Hopper", "Walker2d", "Humanoid"])
def test_the_camera_follows_who_runs_away(name):
    env = games.find(f"{name}-v5").make(render_mode="rgb_array")
    renderer = env.unwrapped.mujoco_renderer
    assert renderer.model.camera(renderer.camera_id).name == "track"
    env.close()


@pytest.mark.parametrize("env_id", [*games.GAMES, "Acrobot-v1", "Pendulum-v1", "LunarLander-v3"])
def test_every_game_can_be_played(env_id):
    rollouts = agents.Rollouts(games.find(env_id), batch=2, max_length=3)
    params = np.zeros((3, rollouts.policy.num_params))
    for test in (False, True):
        returns, lengths = rollouts(params, np.array([1_000_000, 5, 6]), -1, test)
        assert np.isfinite(returns).all() and lengths.tolist() == [3, 3, 3]
    rollouts.close()


def test_an_action_that_is_no_number_is_one_sentence_and_never_reaches_the_game():
    rollouts = agents.Rollouts(games.find("HalfCheetah-v5"), batch=2, max_length=3)
    params = np.full((1, rollouts.policy.num_params), np.inf)
    with np.errstate(invalid="ignore"), pytest.raises(UserError, match="not a finite number"):
        rollouts(params, np.array([5]), -1, True)
    rollouts.close()


def test_names_of_the_reference_are_aliases():
    assert {games.find(alias).env_id for alias in games.ALIASES} == set(games.GAMES)
    assert games.find("biped").requirement == 300
    assert games.find("ALE/Pong-ram-v5").name == "ALE_Pong-ram-v5"


@pytest.mark.parametrize(
    ("env_id", "expected"),
    [
        ("NoSuchTask-v0", "NoSuchTask-v0: gymnasium cannot make it"),
        ("no_such_package:Task-v0", "no_such_package:Task-v0: gymnasium cannot make it"),
        ("CarRacing-v3", "expected a vector of observations, found Box"),
        ("FrozenLake-v1", "expected a vector of observations, found Discrete"),
    ],
)
def test_what_cannot_be_played_is_a_sentence(env_id, expected):
    with pytest.raises(UserError, match=expected):
        games.find(env_id).policy()


@pytest.mark.filterwarnings("ignore:.*render_mode")
def test_a_task_of_ones_own_is_found_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "task_of_mine.py").write_text(
        "import gymnasium, numpy\n"
        "class Mine(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(0, 1, (2,), numpy.float32)\n"
        "    action_space = gymnasium.spaces.Box(0, 8, (1,), numpy.float32)\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        return numpy.ones(2, numpy.float32), {}\n"
        "    def step(self, action):\n"
        "        return numpy.ones(2, numpy.float32), float(action[0]), False, False, {}\n"
        "gymnasium.register('Mine-v0', Mine, max_episode_steps=7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    game = games.find("task_of_mine:Mine-v0")
    rollouts = agents.Rollouts(game)
    returns, lengths = rollouts(np.zeros((3, rollouts.policy.num_params)), np.arange(3))
    assert game.name == "task_of_mine_Mine-v0"
    assert returns.tolist() == [7 * 4.0] * 3 and lengths.tolist() == [7] * 3  # the middle of 0, 8
    with pytest.raises(UserError, match="task_of_mine:Mine-v0: cannot draw itself"):
        game.make(render_mode="rgb_array")


class Steps(gymnasium.Env):
    """Ends after as many steps as its seed says; its reward is its step."""

    observation_space = gymnasium.spaces.Box(-9, 99, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)
    made: list = []  # noqa: RUF012 - of the class

    def __init__(self):
        self.count = 0
        self.made.append(self)

    def reset(self, *, seed=None, options=None):
        self.left, self.now = seed, 0
        return np.array([self.left]), {}

    def step(self, action):
        self.count += 1
        self.now += 1
        return np.array([self.left - self.now]), self.now, self.now == self.left, False, {}


def test_only_running_episodes_are_stepped():
    Steps.made.clear()
    world = lockstep.GymWorld(lockstep.LockstepEnv([Steps] * 4), time_factor=2)
    lengths = np.array([3, 1, 9, 4, 4, 2, 7])
    seen = []

    def act(observation, pairs):
        seen.extend(zip(pairs.tolist(), observation.tolist(), strict=True))
        return pairs % 2

    returns, steps = agents.run_rollouts(world, act, lengths, 5, 4)
    np.testing.assert_array_equal(steps, np.minimum(lengths, 5))
    np.testing.assert_array_equal(returns, steps * (steps + 1) / 2)
    assert sum(env.count for env in Steps.made) == steps.sum()
    # the observation is the episode's own, and ends in its time
    assert [row for pair, row in seen if pair == 3] == [[4 - t, t / 2] for t in range(4)]


def test_shaping_is_for_training_only(monkeypatch):
    game = games.find("BipedalWalker-v3")
    rollouts = agents.Rollouts(game, batch=2, shaped=True)
    rng = np.random.default_rng(0)
    params, seeds = rng.standard_normal((2, rollouts.policy.num_params)), np.array([1, 2])
    shaped, lengths = rollouts(params, seeds, -1, False)
    stock, again = rollouts(params, seeds, -1, True)
    assert (lengths == again).all() and lengths.max() < 1600  # both fall
    np.testing.assert_allclose(shaped - stock, 100)
    rollouts.close()

    class Finish(gymnasium.Wrapper):
        def step(self, action):
            return np.zeros(24), 150.5, False, self.env.count_up(), {}

    class Two(gymnasium.Env):
        def reset(self, **options):
            self.count = 0
            return np.zeros(24), {}

        def count_up(self):
            self.count += 1
            return self.count == 2

    env = games.BipedShaping(Finish(Two()))
    env.reset()
    assert [env.step(None)[1] for _ in range(2)] == [150.5, 250.5]  # 301 in all


@pytest.mark.filterwarnings("ignore:.*infinity")
def test_the_cart_is_an_environment_of_gymnasium():
    env = gymnasium.make("CartPoleSwingUp-v0", render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=1)
    picture = env.render()
    assert picture.shape == (400, 600, 3) and picture.dtype == np.uint8
    assert 0.005 < (picture != 255).any(2).mean() < 0.1


def test_the_carts_equations_keep_energy():
    """Against the energies of a cart and a uniform pole, which nothing here was derived from."""

    def energy(speed, angle, turn):
        # the pole's middle is half a length from the joint; its tip leans to -sin(angle)
        half = cart.LENGTH / 2
        across = speed - half * np.cos(angle) * turn
        up = -half * np.sin(angle) * turn
        spin = cart.POLE_MASS * cart.LENGTH**2 / 12 * turn**2
        moving = cart.CART_MASS * speed**2 + cart.POLE_MASS * (across**2 + up**2) + spin
        return moving / 2 + cart.POLE_MASS * cart.GRAVITY * half * np.cos(angle)

    rng, step = np.random.default_rng(0), 1e-6
    for _ in range(20):
        speed, angle, turn = rng.normal(0, [2, 3, 5])
        for force, friction in ((0, 0), (4, 0), (0, 0.3), (-7, 0.1)):
            linear, angular = cart.accelerations(speed, angle, turn, force, friction)
            before = energy(speed - step * linear, angle - step * turn, turn - step * angular)
            after = energy(speed + step * linear, angle + step * turn, turn + step * angular)
            power = (force - friction * speed) * speed
            assert (after - before) / (2 * step) == pytest.approx(power, abs=1e-5)


def test_the_carts_numbers():
    env = gymnasium.make("CartPoleSwingUp-v0")
    starts = np.array([env.reset(seed=seed)[0] for seed in range(400)])
    np.testing.assert_allclose(starts.mean(0)[[0, 1, 4]], 0, atol=0.04)
    np.testing.assert_allclose(starts.std(0)[[0, 1, 4]], 0.2, atol=0.03)
    assert (starts[:, 2] < -0.6).all()  # hanging
    env.reset(seed=0)
    total, steps = 0.0, 0
    truncated = terminated = False
    while not (terminated or truncated):
        seen, reward, terminated, truncated, _ = env.step(np.zeros(1, np.float32))
        assert reward == pytest.approx((seen[2] + 1) / 2 * np.cos(np.pi * seen[0] / 4.8))
        total, steps = total + reward, steps + 1
    assert steps == 1000 and truncated and not terminated
    env.reset(seed=0)
    steps, terminated = 0, False
    while not terminated:
        seen, _, terminated, _, _ = env.step(np.ones(1, np.float32))
        steps += 1
    assert seen[0] > 2.4 and 60 < steps < 120
