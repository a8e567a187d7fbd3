"""Watch an agent: the real game beside its 64x64 crop and V's reconstruction, or the dream.

An importable module; `python model.py doomreal|doomrnn render ...` is the command.
"""

import cv2
import numpy as np

from estool import pictures
from estool.viewer import open_viewer

from doomreal import DoomReal
from doomrnn import Dream
from model import RealWorld, Z, make_world

FPS = 35  # the game's own
SIDE = 480  # pixels of the enlarged 64x64 pictures
DREAM_SIDE = 640  # reference doomrnn/doomrnn.py
MOMENTS = 8  # columns of a strip
TILE = 154  # pixels a side of its pictures, border not counted


def run(args, model, controllers) -> None:
    """Play one episode with the seed `args.seed` and show it in a window or in `args.video`."""
    episode = real_episode if args.world == "doomreal" else dream_episode
    world = make_world(args.world, model, args.temperature)
    shown, steps = [], 0
    with open_viewer("World Models: DoomTakeCover", FPS, args.video) as viewer:
        for picture, moment in episode(world, model, controllers, args):
            shown.append(moment)
            steps += 1
            if not viewer.show(picture):
                break
    if args.strip:
        if args.world == "doomreal":
            dreamed = dream_frames(model, controllers, args, len(shown))
            shown = [(*moment, dream) for moment, dream in zip(shown, dreamed, strict=False)]
        pictures.save(args.strip, strip(shown))
    print(f"seed {args.seed} reward {steps} steps {steps}")


def real_episode(world: RealWorld, model, controllers, args):
    """Yield (picture for the viewer, (game, crop, reconstruction) for the strip) a step.

    A second game with the same seed and moves draws in 640x480 for people; the agent sees the
    small one that it was trained on.
    """
    large = DoomReal(rows=480)
    large.reset(seed=args.seed)
    world.start([args.seed])
    row, done, steps = np.zeros(1, np.int64), False, 0
    try:
        while not done and steps != (args.max_length or -1):
            reconstruction = pictures.to_uint8(model.vae.decode(world.observation[:, Z])[0])
            moment = (large.screen[:400], world.frames[0], reconstruction)
            yield side_by_side(large.screen, *moment[1:], steps), moment
            action = controllers.act(world.observation, row)
            large.step(action)
            done = world.step(action)[1][0]
            steps += 1
    finally:
        large.close()
        world.close()


def dream_episode(world: Dream, model, controllers, args):
    """Yield (picture, (frame,)) a step of the dream, drawn by V."""
    world.start([args.seed])
    row, done, steps = np.zeros(1, np.int64), False, 0
    while not done and steps != (args.max_length or -1):
        frame = pictures.to_uint8(model.vae.decode(world.observation[:, Z])[0])
        yield label(enlarge(frame, DREAM_SIDE), f"dream, step {steps}"), (frame,)
        done = world.step(controllers.act(world.observation, row))[1][0]
        steps += 1


def dream_frames(model, controllers, args, count: int) -> list[np.ndarray]:
    """What the same agent dreams: the first of the seeds from `args.seed` that lasts `count` steps.

    Falls back on the longest of 20 dreams, repeating its last frame.
    """
    best = []
    for seed in range(args.seed, args.seed + 20):
        dream = make_world("doomrnn", model, args.temperature)
        one = type(args)(**{**vars(args), "seed": seed, "max_length": count})
        frames = [moment[0] for _, moment in dream_episode(dream, model, controllers, one)]
        best = max(best, frames, key=len)
        if len(best) >= count:
            break
    return best + [best[-1]] * (count - len(best))


def side_by_side(screen, crop, reconstruction, steps: int) -> np.ndarray:
    """The game, what the agent sees of it, and what V keeps of that, uint8 (480, 1600, 3)."""
    return np.concatenate(
        [
            label(screen.copy(), f"game, step {steps}"),
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
