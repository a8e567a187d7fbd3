"""Draw the strip of estool's zoo: moments of the first test episode of each of its agents.

  bash pictures.bash          runs this as well

Reads estool/zoo/, plays the games, needs no screen. Writes estool_zoo.png beside this file.
"""

from kit.command import cli

cli.begin(__name__)

import os
from pathlib import Path

import numpy as np

from estool import model
from estool.policy import Controllers
from kit.show import panels, pictures

HERE = Path(__file__).parent
ZOO = HERE.parent / "estool" / "zoo"
# title: the task, the strip's first step, steps from one moment to the next, the square that is
# shown: its left edge, its upper edge and its side in pixels
MOMENTS = {
    "BipedalWalker": ("BipedalWalker-v3", 200, 8, (0, 100, 300)),
    "HalfCheetah": ("HalfCheetah-v5", 200, 1, (0, 0, 480)),
    "SwingUp": ("CartPoleSwingUp-v0", 0, 20, (150, 50, 300)),
    "Pendulum": ("InvertedDoublePendulum-v5", 0, 6, (120, 80, 240)),
}


def moments(name: str, first: int, every: int, square: tuple[int, int, int]) -> list[np.ndarray]:
    """Tiles of the agent of `name`, test episode 0."""
    agent = next(ZOO.glob(f"{name}.*.best.json"))
    game, parameters = model.load(model.parse([name, str(agent)]))
    controllers = Controllers(game.policy(), parameters[None])
    left, top, side = square
    env = game.make(render_mode="rgb_array")
    seen, tiles, step = env.reset(seed=0)[0], [], 0
    while len(tiles) < panels.COLUMNS:
        if step >= first and (step - first) % every == 0:
            tiles.append(panels.tile(env.render()[top : top + side, left : left + side]))
        observation = np.asarray(seen, np.float64)[None]
        seen = env.step(controllers.act(observation, np.zeros(1, np.int64))[0])[0]
        step += 1
    env.close()
    return tiles


def main():
    os.environ.setdefault("MUJOCO_GL", "egl")  # draws without a screen, if told before MuJoCo comes
    strips = [
        panels.strip([[tile] for tile in moments(*what)], [title])
        for title, what in MOMENTS.items()
    ]
    pictures.save(HERE / "estool_zoo.png", panels.below(*strips))


if __name__ == "__main__":
    cli.run(main)
