"""The tasks: gymnasium environments by id, with the policies that the reference gave them.

Any environment works by its id alone whose observation is a vector and whose actions are discrete
or a vector: "MountainCar-v0", or "my_package:MyTask-v0" for one that `my_package` registers. GAMES
has settings for those that the reference knows, ALIASES the names that it knows them by.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
from gymnasium.envs import registration
from gymnasium.vector import VectorEnv

from estool.cartpole_swingup import LIMIT, CartPoleSwingUpVector
from estool.policy import Policy
from kit.batches import checked
from kit.batches.lockstep import LockstepEnv
from kit.command.errors import UserError

gymnasium.register(
    "CartPoleSwingUp-v0", "estool.cartpole_swingup:CartPoleSwingUp", max_episode_steps=LIMIT
)


WALKER = "gymnasium.envs.box2d.bipedal_walker"  # whatever the id is that leads there


class FreshWorld(gymnasium.Wrapper):
    """BipedalWalker with a new Box2D world for each episode.

    The environment keeps its world, whose contacts then come in an order that depends on the
    episodes before: after another episode a seed would not give what it gives at first.
    """

    def reset(self, *, seed=None, options=None):
        import Box2D

        walker = self.unwrapped
        walker._destroy()
        walker.world = Box2D.b2World()
        return super().reset(seed=seed, options=options)


class BipedShaping(gymnasium.Wrapper):
    """Rewards to train BipedalWalker with: a fall costs nothing, more than 300 earns 100 more.

    Without it candidates learn to stand still first, because a fall costs 100. (The reference
    trains so as well, though a comment calls it turned off.)
    """

    def reset(self, **options):
        self._total = 0.0
        return super().reset(**options)

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        if reward == -100:
            reward = 0.0
        self._total += reward
        if (terminated or truncated) and self._total > 300:
            reward += 100.0
        return observation, reward, terminated, truncated, info


@dataclass(frozen=True)
class Game:
    """An environment and the policy that plays it, unless flags say otherwise."""

    env_id: str
    layers: tuple[int, ...] = (40, 40)
    activation: str = "tanh"
    output: str = "tanh"
    time_factor: float = 0.0
    output_noise: bool = False
    noise_bias: float = 0.0
    requirement: float | None = None  # the score that counts as solved
    shaping: Callable | None = None  # around those that train
    vector: Callable[[int], VectorEnv] | None = None  # a batched twin
    camera: str | None = None  # MuJoCo's that follows: gymnasium 1.4 leaves it out by itself

    @property
    def name(self) -> str:
        """For file names."""
        return self.env_id.replace("/", "_").replace(":", "_")

    def make(self, shaped: bool = False, render_mode: str | None = None) -> gymnasium.Env:
        """One environment; UserError where gymnasium cannot make it or a policy cannot play it."""
        # a task of one's own that draws nothing need not know the word
        given = {"render_mode": render_mode} if render_mode else {}
        if render_mode and self.camera:
            given["camera_name"] = self.camera
        env = checked.make(self.env_id, **given)
        space = env.observation_space
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise UserError(f"{self.env_id}: expected a vector of observations, found {space}")
        if any(base.__module__ == WALKER for base in type(env.unwrapped).__mro__):
            env = FreshWorld(env)
        return self.shaping(env) if shaped and self.shaping else env

    def make_batch(self, count: int, shaped: bool = False) -> VectorEnv:
        """`count` environments in lockstep."""
        if self.vector and not (shaped and self.shaping):
            return self.vector(count)
        return LockstepEnv([lambda: self.make(shaped)] * count)

    def policy(self) -> Policy:
        env = self.make()
        try:
            size = env.observation_space.shape[0] + (self.time_factor > 0)
            return Policy(
                size,
                env.action_space,
                self.layers,
                self.activation,
                self.output,
                self.output_noise,
                self.noise_bias,
            )
        finally:
            env.close()


_WALKER = {"shaping": BipedShaping, "requirement": 300.0}
_RUNNER = {"layers": (32, 16), "camera": "track"}
_GAMES = (
    Game("CartPoleSwingUp-v0", (10,), vector=CartPoleSwingUpVector),
    Game("BipedalWalker-v3", **_WALKER),
    Game("BipedalWalkerHardcore-v3", **_WALKER),
    Game("Ant-v5", **_RUNNER),
    Game("HalfCheetah-v5", **_RUNNER),
    Game("Hopper-v5", **_RUNNER),
    Game("Walker2d-v5", **_RUNNER),
    Game("Humanoid-v5", **_RUNNER),
    Game("InvertedPendulum-v5", (10,)),
    Game("InvertedDoublePendulum-v5", (10,)),
    Game("Reacher-v5", (10,)),
)
GAMES = {game.env_id: game for game in _GAMES}
ALIASES = {
    "cartpole_swingup": "CartPoleSwingUp-v0",
    "biped": "BipedalWalker-v3",
    "bipedhard": "BipedalWalkerHardcore-v3",
    "ant": "Ant-v5",
    "half_cheetah": "HalfCheetah-v5",
    "hopper": "Hopper-v5",
    "walker": "Walker2d-v5",
    "humanoid": "Humanoid-v5",
    "pendulum": "InvertedPendulum-v5",
    "double_pendulum": "InvertedDoublePendulum-v5",
    "reacher": "Reacher-v5",
}


def find(name: str) -> Game:
    """The game of that name: an alias, or a gymnasium id in any of its spellings.

    "BipedalWalker" and "gymnasium:BipedalWalker-v3" are BipedalWalker-v3, with all its settings.
    """
    env_id = ALIASES.get(name, name)
    return GAMES.get(_full_id(env_id), Game(env_id))


def _full_id(env_id: str) -> str:
    """The id that gymnasium makes, with its version and without its module."""
    module, _, rest = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        namespace, base, version = registration.parse_env_id(rest)
    except (gymnasium.error.Error, ImportError):
        return env_id  # said where it is made
    if version is None:
        version = registration.find_highest_version(namespace, base)
    return registration.get_env_id(namespace, base, version)
