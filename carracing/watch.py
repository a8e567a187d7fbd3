"""Watch an agent: the full view beside the 64x64 crop and V's reconstruction, or the dream.

An importable module; `python model.py render ...` and `python dream_model.py ...` are the commands.
The key M shows what M expected of each frame beside what came, and back again; Escape quits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kit.batches.mixtures import sample_z
from kit.show import panels, pictures
from kit.show.episode import add_dream, dream_view, game_view
from kit.show.episode import show as show_episode

from agent import RealWorld
from dream_env import Dream
from play_dream import action_meters
from rnn import FastStep, Rows
from world import FPS, TEMPERATURE, TITLE, Z

SIDE = 384  # pixels of the enlarged 64x64 pictures beside the game
DREAM_SIDE = 640  # ten for each of V's
WARM_UP = 60  # real frames before M dreams on, in a strip


@dataclass
class Moment:
    """The pictures of a step, uint8; those of the real game are None in a dream."""

    step: int
    view: np.ndarray | None  # (400, 600, 3)
    crop: np.ndarray | None  # (64, 64, 3)
    drawn: np.ndarray  # V's picture of what came
    expected: np.ndarray | None  # V's picture of what M expected of it; None at the first step
    action: np.ndarray  # (3,)
    total: float  # rewards before this step; of the last moment, all of them

    z: np.ndarray  # (Z,), what came

    def views(self) -> list[np.ndarray]:
        """The pictures that a strip shows."""
        return [self.drawn] if self.view is None else [self.view[:, 100:500], self.crop, self.drawn]


def run(args, model, controllers, large) -> None:
    """Play one episode with the seed `args.seed` and show it in a window or in video files.

    large: an environment that draws the full view; closed at the end.
    """
    world = RealWorld(model, args.renderer, sampled=args.z == "sample")
    episode = real_episode(world, model, controllers, args, large)
    moments, z, actions, last = show(episode, args, f"World Models: {TITLE}")
    if args.strip:
        steps, warm_up = moments.choose(), min(WARM_UP, len(z) // 2)
        dream = drive_on(model, controllers, z, actions, warm_up, args.seed)
        add_dream(moments, pictures.to_uint8(model.vae.decode(dream[steps])))
        names = ("game", "64x64 crop", "reconstruction", "M's dream")
        pictures.save(args.strip, panels.strip(moments.tiles, names))
    print(f"seed {args.seed} reward {last.total:.2f} steps {len(z)}")


def run_dream(args, model, controllers) -> None:
    """Dream one episode with the seed `args.seed` and show it in a window or in video files."""
    episode = dream_episode(model, controllers, args.seed, args.max_length, args.temperature)
    moments, z, _, _ = show(episode, args, f"World Models: the dream of {TITLE}")
    if args.strip:
        moments.choose()
        pictures.save(args.strip, panels.strip(moments.tiles, ("dream",)))
    print(f"seed {args.seed} steps {len(z)}")


def drive_on(model, controllers, z, actions, warm_up: int, seed: int) -> np.ndarray:
    """Latents (T, Z): an episode's own up to `warm_up`, then a dream in which the agent drives on.

    z (T, Z) and actions (T, 3): all of the episode. The moves of the real track would lead off the
    dreamed one.
    """
    rows, rng, row = Rows(FastStep(model.rnn)), np.random.default_rng(seed), np.zeros(1, np.int64)
    rows.start(1)
    dream = z.copy()
    for t in range(len(z) - 1):
        action = actions[t : t + 1]
        if t >= warm_up:
            observation = np.concatenate((dream[t : t + 1], rows.c, rows.h), axis=1)
            action = controllers.act(observation, row)
        rows.advance(dream[t : t + 1], action)
        if t + 1 >= warm_up:
            uniform = rng.random((1, z.shape[1]), np.float32)
            normal = rng.standard_normal((1, z.shape[1]), np.float32)
            dream[t + 1] = sample_z(rows.predict(), uniform, normal, TEMPERATURE)[0]
    return dream


def show(episode: Iterator[Moment], args, title: str):
    """Show an episode: its panels.Moments, latents (T, Z), actions (T, 3) and last moment."""
    return show_episode(episode, draw, args, title, FPS, "the end")


def real_episode(world: RealWorld, model, controllers, args, large) -> Iterator[Moment]:
    """Play the real game; `large`, with the same seed and moves, draws the full view."""
    large.reset(seed=args.seed)
    try:
        for moment in _episode(world, model, controllers, args.seed, args.max_length):
            moment.view, moment.crop = large.render(), world.frames[0]
            large.step(moment.action)
            yield moment
    finally:
        large.close()
        world.close()


def dream_episode(model, controllers, seed: int, length: int, temperature: float):
    """Dream `length` steps."""
    world = Dream(FastStep(model.rnn), model.initial_z, temperature)
    return _episode(world, model, controllers, seed, length)


def _episode(world, model, controllers, seed, length):
    world.start([seed])
    row, done, step, total = np.zeros(1, np.int64), False, 0, 0.0
    while not done and step != (length or -1):
        z = world.observation[:, Z]
        if step:
            z = np.concatenate((z, world.expected()))
        drawn, *expected = pictures.to_uint8(model.vae.decode(z))
        action = controllers.act(world.observation, row)
        moment = Moment(
            step, None, None, drawn, *(expected or [None]), action[0], total, z[0].copy()
        )
        yield moment
        reward, done = (value[0] for value in world.step(action))
        moment.total = total = total + reward
        step += 1


def draw(moment: Moment, expected: bool) -> np.ndarray:
    """The whole view as one picture: (428, 1344, 3), or the dream's (728, 640, 3)."""
    if moment.view is None:
        return _draw_dream(moment, expected)
    view = game_view(moment.view, moment.crop, moment.drawn, expected, moment.expected, SIDE)
    width = view.shape[1] // (1 + len(moment.action))
    numbers = panels.text_bar([f"step {moment.step}", f"score {moment.total:.1f}"], width)
    return panels.below(view, panels.beside(numbers, *action_meters(moment.action, width)))


def _draw_dream(moment, expected):
    view = dream_view(moment.drawn, expected, moment.expected, DREAM_SIDE)
    meters = panels.beside(*action_meters(moment.action, DREAM_SIDE // len(moment.action)))
    return panels.below(view, meters, panels.text_bar([f"step {moment.step}"], DREAM_SIDE))
