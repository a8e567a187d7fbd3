"""Play inside the dream of a trained agent: every picture is the world model's.

    python dreamerv2/play.py dreamerv2/zoo/minigrid_empty.npz    # by hand, in a window
    python dreamerv2/play.py AGENT --actor --video dream.mp4        # the agent, without a screen
    python dreamerv2/play.py AGENT --actor --beside --gif dream.gif # the real game beside it

A dream begins after some steps of the real game (--context) and then sees nothing of it; with
--beside the real game gets the same actions. The model says a reward and the chance that the
episode ends; where that is above one half the dream begins anew. Enter begins anew, Escape quits.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dreamerv2 import agents
from dreamerv2.dream import Dream
from dreamerv2.keys import chooser
from kit.command import cli, seeds
from kit.command.errors import UserError
from kit.show import panels, viewer

SIDE = 448  # pixels of a picture
FPS = 12.0
PAUSE = 1.0  # seconds that the last picture of a dream stays


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; UserError where nobody is there to play."""
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("agent", type=Path, help="a run's folder, or an agent's npz")
    add("--task", help="another task with the same observations and actions")
    add("--actor", action="store_true", help="the agent plays, not you")
    add("--beside", action="store_true", help="show the real game with the same actions beside it")
    add("--context", type=cli.positive_int, default=5, help="real steps before a dream")
    add("--steps", type=cli.positive_int, default=50, help="most steps of a dream of the agent's")
    add("--dreams", type=cli.positive_int, default=3, help="dreams in a video")
    add("--seed", type=cli.non_negative_int, default=0, help="where the first dream begins")
    add("--fps", type=cli.positive_float, default=FPS, help="steps a second")
    add("--video", type=cli.file_in(".mp4"), help="write into this .mp4, without a screen")
    add("--gif", type=cli.file_in(".gif"), help="write into this .gif, smaller, without a screen")
    args = cli.parse(parser, argv=argv)
    if viewer.files(args) and not args.actor:
        raise UserError("--video and --gif need --actor: without a window there are no keys")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Load the agent and dream until the window is closed, or so many dreams."""
    args = parse(argv)
    changed = {"task": args.task} if args.task else {}
    trained = agents.load(args.agent, 1, **changed)
    paths = viewer.files(args)
    try:
        choose, keys = chooser(trained)
        show = Show(Dream(trained, args.context), args, choose)
        title = f"A dream of {trained.config.task}: " + ("" if args.actor else f"{keys}, ")
        with viewer.open_viewer(
            f"{title}Enter begins anew, Escape quits", args.fps, paths
        ) as window:
            chosen = [int(seed) for seed in seeds.check_seeds(args.seed, args.dreams)]
            while chosen and show.dream(window, chosen[0]):
                done = chosen.pop(0)
                if not paths:
                    chosen.append(done + args.dreams)
    finally:
        trained.close()


class Show:
    """Dreams in a window or in files."""

    def __init__(self, dream: Dream, args: argparse.Namespace, choose):
        self._dream, self._args, self._choose = dream, args, choose

    def dream(self, window, seed: int) -> bool:
        """One dream to its end; False once the person has closed the window."""
        args, dream = self._args, self._dream
        picture = game = dream.begin(seed)
        dreamt = real = ending = 0.0
        steps, ended = 0, False
        while ending <= 0.5 and not (args.actor and steps >= args.steps):
            if not window.show(self._draw(picture, game, steps, dreamt, real, ended)):
                return False
            if window.pressed & viewer.ENTER:
                return True
            action = dream.actor() if args.actor else self._choose(window)
            if action is None:
                continue
            picture, reward, ending = dream.step(action)
            if args.beside and not ended:
                game, real_reward, ended = dream.step_game(action)
                real += real_reward
            dreamt, steps = dreamt + reward, steps + 1
        shown = self._draw(picture, game, steps, dreamt, real, ended, over=ending > 0.5)
        frames = round(PAUSE * args.fps)
        if args.video or args.gif:
            return all(window.show(shown) for _ in range(frames))
        return window.hold(shown, frames)

    def _draw(
        self, picture, game, steps: int, dreamt: float, real: float, ended: bool, over: bool = False
    ) -> np.ndarray:
        """The dream, the real game at its left where that is asked for, and the numbers below."""
        name = "dream" if steps else "the game, before the dream"
        shown = panels.label(panels.enlarge(panels.colour(picture), SIDE), name)
        texts = (f"step {steps}", f"dreamt return {dreamt:.2f}")
        if over:
            panels.label(shown, "the dream ends", 8, SIDE - 16)
        if self._args.beside:
            played = panels.enlarge(panels.colour(game), SIDE)
            panels.label(played, "the game" + (", ended" if ended else ""))
            shown = panels.beside(played, shown)
            texts = (texts[0], f"real return {real:.2f}", texts[1])
        return panels.below(shown, panels.text_bar(texts, shown.shape[1]))


if __name__ == "__main__":
    cli.run(main)
