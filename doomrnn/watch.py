"""Watch an agent: the real game beside its 64x64 crop and V's reconstruction, or the dream.

An importable module; `python model.py doomreal|doomrnn render ...` is the command. The key M shows
what M expected of each frame beside what came, and back again; Escape quits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kit.show import panels, pictures
from kit.show.viewer import files, open_viewer

from agent import RealWorld
from rnn import dream_on
from world import FPS, TITLE, Z, discretise

SIDE = 384  # pixels of the enlarged 64x64 pictures beside the game
DREAM_SIDE = 640  # reference doomrnn/doomrnn.py
WARM_UP = 60  # real frames before M dreams on, in a strip
PAUSE = 2 * FPS  # frames that the last picture stays


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
    moments, z, actions, expected = panels.Moments(), [], [], args.expected
    with open_viewer(f"World Models: {TITLE}. M: expectation, Escape", FPS, files(args)) as viewer:
        for moment in episode:
            moments.add(moment.views())
            z.append(moment.z)
            actions.append(moment.action)
            picture = draw(moment, expected)
            open_ = viewer.show(picture)
            if not open_:
                break
            expected ^= "m" in viewer.pressed
        steps = len(z)
        if open_:
            viewer.hold(panels.label(picture, f"{steps} steps", 40, 80, 1.2), PAUSE)
    if args.strip:
        write_strip(args, model, moments, np.stack(z), np.float32(actions))
    print(f"seed {args.seed} reward {steps} steps {steps}")


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
    surmise = np.zeros_like(moment.drawn) if moment.expected is None else moment.expected
    numbers = [f"step {moment.step}", f"{moment.step / FPS:.1f} s"]
    if moment.screen is None:
        return _draw_dream(moment, surmise, expected, numbers)
    parts = [panels.label(panels.fit(moment.screen, SIDE), "game")]
    if expected:
        frames = {"what came, drawn by V": moment.drawn, "what M expected": surmise}
    else:
        frames = {"64x64 crop": moment.crop, "reconstruction by V": moment.drawn}
    parts += [panels.label(panels.enlarge(frames[text], SIDE), text) for text in frames]
    view = panels.beside(*parts)
    width = view.shape[1] // 3
    bars = panels.beside(panels.text_bar(numbers, width), *_meters(moment, width))
    return panels.below(view, bars)


def _draw_dream(moment, surmise, expected, numbers):
    frames = [moment.drawn, surmise] if expected else [moment.drawn]
    view = panels.beside_in_square(*frames, side=DREAM_SIDE)
    panels.label(view, "dream" if len(frames) == 1 else "what came in the dream")
    if expected:
        panels.label(view, "what M expected", DREAM_SIDE // 2 + 8)
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
        for tiles, frame in zip(moments.tiles, model.vae.decode(dream[steps]), strict=True):
            tiles.append(panels.tile(pictures.to_uint8(frame)))
    pictures.save(args.strip, panels.strip(moments.tiles, names))
