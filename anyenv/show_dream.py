"""dream: watch C in M's dream, or choose the actions there yourself.

An importable module; `python run.py dream` is the command. It opens a window, or writes --gif or
--video without one. In the window + and - change the temperature, Enter starts again, Escape ends.
With --play the number keys choose an action of several, the arrows move the first two of a Box.
"""

import numpy as np

from kit.command.errors import UserError
from kit.show import panels, pictures
from kit.show.viewer import ENTER, files, open_viewer
from kit.tensors import precision

import talk
from agent import Controllers, WorldModel, load_mind, mind_path
from config import Config
from dream import Dream
from env import make
from world import Actions, Choices, Levels, Switches

SIDE = 576  # pixels of a frame
PLUS, MINUS = frozenset(("+", "=", "[+]")), frozenset(("-", "[-]"))  # keys, with and without Shift
STEP, LOWEST = 0.05, 0.05  # of the temperature


def run(config: Config, args) -> None:
    """Show `args.episodes` dreams."""
    precision.use_threads(1)
    env = make(config.general)
    env.close()
    actions = env.actions
    model = WorldModel.load(config, actions, args.vae_path, args.mdn_path)
    if not model.vae.can_decode:
        raise UserError("V's file holds its encoder alone: dreams need V as train_vae writes it")
    temperature = args.temperature or config.es.temperature
    dream = Dream(model.memory, actions, temperature, config.es.max_steps)
    if args.play and files(args):
        raise UserError("--play needs a window, and --gif and --video have none")
    act = None
    if not args.play:
        path = args.controller_path or mind_path(config, "_best")
        mind = load_mind(path, config, actions)
        act = Controllers(mind[None], config, actions).act
    returns = []
    title = f"a dream of {config.general.game_name}: + and - temperature, Enter, Escape"
    with open_viewer(title, args.fps, files(args)) as viewer:
        for episode in range(args.episodes):
            open_, total = _episode(
                dream, model, act or Keys(actions, viewer), viewer, args, episode
            )
            returns.append(total)
            talk.info(f"dream {episode} return {total:.2f} steps {int(dream.age[0])}")
            if not open_:
                break
    talk.result(f"{len(returns)} dreams, mean return {np.mean(returns):.2f}")


class Keys:
    """A person at the keyboard: an `act` of one row."""

    def __init__(self, actions: Actions, viewer):
        self._actions, self._viewer, self._chosen = actions, viewer, 0

    def __call__(self, observation: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The recorded action (1, D) that the keys say."""
        raw = np.zeros((1, self._actions.outputs))
        if isinstance(self._actions, Choices):
            numbers = [int(key) for key in self._viewer.pressed if key.isdigit()]
            arrows = [self._viewer.held("left"), self._viewer.held("right")]
            if self._actions.outputs == 2 and any(arrows):
                numbers = [int(np.argmax(arrows))]
            self._chosen = numbers[0] if numbers else self._chosen
            raw[0, min(self._chosen, self._actions.outputs - 1)] = 1
        elif isinstance(self._actions, Switches):
            for key in range(min(10, self._actions.outputs)):
                raw[0, key] = self._viewer.held(str(key))
        elif isinstance(self._actions, Levels):
            pairs = (("right", "left"), ("up", "down"))
            for column, (more, less) in zip(range(self._actions.outputs), pairs, strict=False):
                raw[0, column] = 2.0 * (self._viewer.held(more) - self._viewer.held(less))
        return self._actions.choose(raw)


def _episode(dream: Dream, model: WorldModel, act, viewer, args, episode: int):
    """One dream; whether the window is still open, and the return."""
    dream.keep(np.empty(0, np.int64))
    dream.start([args.seed + episode])
    row, total, done = np.zeros(1, np.int64), 0.0, False
    open_ = viewer.show(_draw(dream, model, total))
    while open_ and not done and not viewer.pressed & ENTER:
        warmer = bool(viewer.pressed & PLUS) - bool(viewer.pressed & MINUS)
        dream.temperature = max(LOWEST, round(dream.temperature + STEP * warmer, 2))
        reward, ended = dream.step(act(dream.observation, row))
        total, done = total + float(reward[0]), bool(ended[0])
        open_ = viewer.show(_draw(dream, model, total))
    return open_, total


def _draw(dream: Dream, model: WorldModel, total: float) -> np.ndarray:
    frame = pictures.to_uint8(model.vae.decode(dream.observation[:, : dream.z_size])[0])
    words = (f"step {dream.age[0]}", f"return {total:.1f}", f"temperature {dream.temperature:.2f}")
    return panels.below(panels.enlarge(frame, SIDE), panels.text_bar(words, SIDE))
