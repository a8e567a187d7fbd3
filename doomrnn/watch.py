"""Watch an agent: the real game beside its 64x64 crop and V's reconstruction, or the dream.

An importable module; `python model.py doomreal|doomrnn render ...` is the command. The key M shows
what M expected of each frame beside what came, and back again; Escape quits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kit.show import panels, pictures
from kit.show.episode import add_dream, dream_view, game_view, show

from agent import RealWorld
from rnn import dream_on
from world import FPS, TITLE, Z, discretise

SIDE = 384  # pixels of the enlarged 64x64 pictures beside the game
DREAM_SIDE = 640  # reference doomrnn/doomrnn.py
WARM_UP = 60  # real frames before M dreams on, in a strip


@dataclass
class Moment:
    """The pictures of a step, uint8; those of the real game are None in a dream."""

    step: int
    screen: np.ndarray | None  # (480, 640, 3)
    crop: np.ndarray | None  # (64, 64, 3)
    drawn: np.ndarray  # V's picture of what came
    expected: np.ndarray | None  # V's picture of what M expected of it; None at the first step
    death: float  # the probability that M gave the end
    action: float

    z: np.ndarray  # (Z,), what came

    def views(self) -> list[np.ndarray]:
        """The pictures that a strip shows."""
        return [self.drawn] if self.screen is None else [self.screen[:400], self.crop, self.drawn]


def run(args, model, controllers, world, large=None) -> None:
    """Play one episode of `world` with the seed `args.seed`; show it in a window or video files.

    large: a second game that draws large pictures for people; None in the dream.
    """
    episode = _episode(world, model, controllers, args)
    if large is not None:
        episode = real_episode(episode, world, args.seed, large)
    title = f"World Models: {TITLE}"
    moments, z, actions, _ = show(episode, draw, args, title, FPS, "{} steps")
    if args.strip:
        write_strip(args, model, moments, z, np.float32(actions))
    print(f"seed {args.seed} reward {len(z)} steps {len(z)}")


def real_episode(episode, world: RealWorld, seed: int, large) -> Iterator[Moment]:
    """The moments of `episode`, which is played in `world`, with the real game's pictures.

    `large`, a second game with the same seed and moves, draws in 640x480 for people; the agent sees
    the small one that it was trained on. Both are closed at the end.
    """
    large.reset(seed=seed)
    try:
        for moment in episode:
            moment.screen, moment.crop = large.screen, world.frames[0]
            large.step(moment.action)
            yield moment
    finally:
        large.close()
        world.close()


def _episode(world, model, controllers, args):
    world.start([args.seed])
    row, done, step = np.zeros(1, np.int64), False, 0
    while not done and step != (args.max_length or -1):
        z, death = world.observation[:, Z], 0.0
        if step:
            expected_z, deaths = world.expected()
            z, death = np.concatenate((z, expected_z)), float(deaths[0])
        drawn, *expected = pictures.to_uint8(model.vae.decode(z))
        action = controllers.act(world.observation, row)
        yield Moment(
            step, None, None, drawn, *(expected or [None]), death, float(action[0]), z[0].copy()
        )
        done = world.step(action)[1][0]
        step += 1


def draw(moment: Moment, expected: bool) -> np.ndarray:
    """The whole view as one picture: (428, 1280, 3), or the dream's (728, 640, 3)."""
    numbers = [f"step {moment.step}", f"{moment.step / FPS:.1f} s"]
    if moment.screen is None:
        return _draw_dream(moment, expected, numbers)
    view = game_view(moment.screen, moment.crop, moment.drawn, expected, moment.expected, SIDE)
    width = view.shape[1] // 3
    bars = panels.beside(panels.text_bar(numbers, width), *_meters(moment, width))
    return panels.below(view, bars)


def _draw_dream(moment, expected, numbers):
    view = dream_view(moment.drawn, expected, moment.expected, DREAM_SIDE)
    meters = panels.beside(*_meters(moment, DREAM_SIDE // 2))
    return panels.below(view, meters, panels.text_bar(numbers, DREAM_SIDE))


def _meters(moment, width):
    yield panels.meter("move", moment.action, width, low=-1)
    yield panels.meter("death", moment.death, width, colour=panels.RED)


def write_strip(args, model, moments: panels.Moments, z, actions) -> None:
    """Save the episode's strip; below a real one M's dream with its first frames and all its moves.

    z (T, Z) and actions (T,): all of the episode.
    """
    names, steps = ["dream"], moments.choose()
    if args.world == "doomreal":
        names = ["game", "64x64 crop", "reconstruction", "M's dream"]
        warm_up = min(WARM_UP, len(z) // 2)
        dream = dream_on(model.rnn, z, discretise(actions), warm_up, args.temperature, args.seed)
        add_dream(moments, pictures.to_uint8(model.vae.decode(dream[steps])))
    pictures.save(args.strip, panels.strip(moments.tiles, names))
