"""Watch an agent: the full view beside the 64x64 crop and V's reconstruction, or the dream.

An importable module; `python model.py render ...` and `python dream_model.py ...` are the commands.
"""

import cv2
import numpy as np

from estool import pictures
from estool.viewer import open_viewer

from dream_env import TEMPERATURE, Dream
from env import make
from model import RealWorld, Z
from rnn import FastStep

FPS = 50  # the game's own
SIDE = 480  # pixels of the enlarged 64x64 pictures
VIEW = (720, 480)  # of gymnasium's full view, 600x400
DREAM_SIDE = 512  # reference carracing/dream_env.py
MOMENTS = 8  # columns of a strip
TILE = 154  # pixels a side of its pictures, border not counted


def run(args, model, controllers) -> None:
    """Play one episode with the seed `args.seed` and show it in a window or in `args.video`."""
    world = RealWorld(model, args.renderer)
    shown, total = [], 0.0
    with open_viewer("World Models: CarRacing", FPS, args.video) as viewer:
        for picture, moment, reward in real_episode(world, model, controllers, args):
            shown.append(moment)
            total += reward
            if not viewer.show(picture):
                break
    if args.strip:
        dream = dream_episode(model, controllers, args.seed, len(shown), TEMPERATURE)
        dreamed = [moment for _, moment in dream]
        shown = [(*moment, *frame) for moment, frame in zip(shown, dreamed, strict=True)]
        pictures.save(args.strip, strip(shown))
    print(f"seed {args.seed} reward {total:.2f} steps {len(shown)}")


def run_dream(args, model, controllers) -> None:
    """Dream one episode with the seed `args.seed` and show it in a window or in `args.video`."""
    given, shown = (args.seed, args.max_length, args.temperature), []
    with open_viewer("World Models: the dream of CarRacing", FPS, args.video) as viewer:
        for picture, moment in dream_episode(model, controllers, *given):
            shown.append(moment)
            if not viewer.show(picture):
                break
    if args.strip:
        pictures.save(args.strip, strip(shown, ("dream",)))
    print(f"seed {args.seed} steps {len(shown)}")


def real_episode(world: RealWorld, model, controllers, args):
    """Yield (picture for the viewer, (view, crop, reconstruction) for the strip, reward) a step.

    A second game with the same seed and moves draws the full view for people.
    """
    large = make("fast", render_mode="rgb_array")
    large.reset(seed=args.seed)
    world.start([args.seed])
    row, done, steps = np.zeros(1, np.int64), False, 0
    try:
        while not done and steps != (args.max_length or -1):
            view = cv2.resize(large.render(), VIEW, interpolation=cv2.INTER_AREA)
            reconstruction = pictures.to_uint8(model.vae.decode(world.observation[:, Z])[0])
            moment = (view[:, 120:600], world.frames[0], reconstruction)
            picture = side_by_side(view, *moment[1:], steps)
            action = controllers.act(world.observation, row)
            large.step(action[0])
            reward, ended = world.step(action)
            yield picture, moment, reward[0]
            done = ended[0]
            steps += 1
    finally:
        large.close()
        world.close()


def dream_episode(model, controllers, seed: int, length: int, temperature: float):
    """Yield (picture, (frame,)) a step of a dream of `length` steps, drawn by V."""
    world = Dream(FastStep(model.rnn), model.initial_z, temperature)
    world.start([seed])
    row = np.zeros(1, np.int64)
    for steps in range(length):
        frame = pictures.to_uint8(model.vae.decode(world.observation[:, Z])[0])
        yield label(enlarge(frame, DREAM_SIDE), f"dream, step {steps}"), (frame,)
        world.step(controllers.act(world.observation, row))


def side_by_side(view, crop, reconstruction, steps: int) -> np.ndarray:
    """The game, what the agent sees of it, and what V keeps of that, uint8 (480, 1680, 3)."""
    return np.concatenate(
        [
            label(view.copy(), f"game, step {steps}"),
            label(enlarge(crop, SIDE), "64x64 crop"),
            label(enlarge(reconstruction, SIDE), "reconstruction by V"),
        ],
        axis=1,
    )


def strip(moments, names=("game", "64x64 crop", "reconstruction", "dream")) -> np.ndarray:
    """Moments of an episode as columns, one row for each kind of picture, uint8 (H, W, 3)."""
    chosen = [moments[i] for i in np.linspace(0, len(moments) - 1, MOMENTS).astype(int)]
    lines = []
    for kind, name in enumerate(names[: len(chosen[0])]):
        tiles = []
        for moment in chosen:
            tile = cv2.resize(moment[kind], (TILE, TILE), interpolation=_smooth(moment[kind]))
            tiles.append(
                cv2.copyMakeBorder(tile, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255,) * 3)
            )
        label(tiles[0], name)
        lines.append(np.stack(tiles))
    return pictures.rows(lines)


def _smooth(frame) -> int:
    return cv2.INTER_NEAREST if len(frame) == 64 else cv2.INTER_AREA


def enlarge(frame: np.ndarray, side: int) -> np.ndarray:
    """A 64x64 frame at `side` pixels, without blur."""
    return cv2.resize(frame, (side, side), interpolation=cv2.INTER_NEAREST)


def label(picture: np.ndarray, text: str) -> np.ndarray:
    """Write `text` into the upper left corner, in place."""
    font, black, white = cv2.FONT_HERSHEY_SIMPLEX, (0, 0, 0), (255, 255, 255)
    for x, y in ((7, 24), (9, 24), (8, 23), (8, 25)):  # thicker letters would also be wider
        cv2.putText(picture, text, (x, y), font, 0.7, black, 2, cv2.LINE_AA)
    return cv2.putText(picture, text, (8, 24), font, 0.7, white, 2, cv2.LINE_AA)
