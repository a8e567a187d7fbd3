"""The smallest run: its settings, its environment. An importable module, no tests."""

import gymnasium

from dreamerv2 import config as settings

# Few train steps are over sooner without a graph; the command's tests have one.
TINY = settings.from_blocks(["smoke"]).update({"jit": False, "dataset.length": 4, "prefill": 80})


def make_grid() -> gymnasium.Env:
    """MiniGrid's empty room of 5x5, in colour."""
    import minigrid  # noqa: F401 (registers its environments)
    from minigrid.wrappers import RGBImgPartialObsWrapper

    return RGBImgPartialObsWrapper(gymnasium.make("MiniGrid-Empty-5x5-v0"))
