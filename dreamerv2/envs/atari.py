"""Atari 2600 games as the original plays them: sticky actions, no-ops, four frames an action."""

import gymnasium
import numpy as np

from kit.command.errors import UserError

STICKY = 0.25  # chance that a frame gets the action before, in place of the new one
NOOPS = 30  # most frames that an episode waits at its start


class WithMemory(gymnasium.Wrapper):
    """The picture beside the console's memory: {"image", "ram" uint8 (128,)}."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        ram = gymnasium.spaces.Box(0, 255, (128,), np.uint8)
        self.observation_space = gymnasium.spaces.Dict({"image": env.observation_space, "ram": ram})

    def _observe(self, image) -> dict[str, np.ndarray]:
        return {"image": image, "ram": self.unwrapped.ale.getRAM()}

    def reset(self, **options):
        image, info = self.env.reset(**options)
        return self._observe(image), info

    def step(self, action):
        image, *rest = self.env.step(action)
        return self._observe(image), *rest


def make(name: str, config) -> gymnasium.Env:
    """The game `name` ("pong", "space_invaders"); UserError where there is none of that name.

    Each action lasts `config.action_repeat` frames, of whose last two the picture is the maximum.
    """
    try:
        import ale_py
    except ImportError as error:
        raise UserError("task atari needs ale-py: pip install ale-py") from error

    gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # no greeting for each game
    known = {
        env_id.removeprefix("ALE/").removesuffix("-v5").lower(): env_id
        for env_id in gymnasium.registry
        if env_id.startswith("ALE/") and env_id.endswith("-v5")
    }
    env_id = known.get(name.replace("_", "").lower())
    if env_id is None:
        raise UserError(f"--task: expected atari_pong or another game, found 'atari_{name}'")
    height, width = config.render_size
    if height != width:
        raise UserError(f"--render_size: atari needs a square, found {height} x {width}")
    env = gymnasium.make(
        env_id,
        frameskip=1,
        repeat_action_probability=STICKY,
        full_action_space=False,
        disable_env_checker=True,
    )
    env = gymnasium.wrappers.AtariPreprocessing(
        env,
        noop_max=NOOPS,
        frame_skip=config.action_repeat,
        screen_size=height,
        grayscale_obs=config.atari_grayscale,
        grayscale_newaxis=True,
    )
    return WithMemory(env)
