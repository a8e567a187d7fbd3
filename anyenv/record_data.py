"""record_data: play episodes in the environment and keep them in an HDF5 file.

An importable module; `python run.py record_data data/vae.hdf5` is the command. Each episode is
written as a separate file in <path>.parts/ when it ends; when all are there, they are joined with
what the file held before, and the new file takes its place. So nothing that was finished is lost
whatever happens. A file that is there already is topped up to `n_games`.
"""

import shutil
from pathlib import Path

import numpy as np

from kit.batches.recorder import neighbours
from kit.batches.rollout import run_rollouts
from kit.command import locks, mpi, progress, seeds
from kit.command.errors import UserError
from kit.files import recordings
from kit.files.atomic import atomic_path, read_json, write_json
from kit.show import pictures

import data
import talk
from config import Config
from env import Games
from policies import player
from world import Actions

NAMES = ("states", "actions", "rewards", "terminated")
DTYPES = ("uint8", "uint16", "int16", "int32", "float16", "float32", "float64")
AGENT_BATCH = 8  # games that a trained agent plays at once in a process
STEPS = 2000  # of an episode without a limit, to say how much memory it may take


class Recorder:
    """Plays as `world` does, and hands every episode to `save` as its row leaves.

    save(seed, states uint8 (T, 64, 64, C), actions (T, D), rewards float32 (T,), terminated bool)
    """

    def __init__(self, world, actions: Actions, save):
        self._world, self._actions, self._save = world, actions, save
        self._rows: list[tuple[int, list, list, list]] = []

    @property
    def observation(self) -> np.ndarray:
        return self._world.observation

    def start(self, episode_seeds) -> None:
        self._world.start(episode_seeds)
        self._rows += [(int(seed), [], [], []) for seed in episode_seeds]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # A copy of each, since a view would hold the whole batch's frames in memory.
        for row, frame, action in zip(self._rows, self._world.frames, actions, strict=True):
            row[1].append(frame.copy())
            row[2].append(action)
        reward, done = self._world.step(actions)
        for row, value in zip(self._rows, reward, strict=True):
            row[3].append(value)
        return reward, done

    def keep(self, rows: np.ndarray) -> None:
        terminated = self._world.terminated
        for index in sorted(set(range(len(self._rows))) - set(rows.tolist())):
            seed, frames, actions, rewards = self._rows[index]
            stored = np.array(actions, self._actions.dtype)
            ended = bool(terminated[index])
            self._save(seed, np.stack(frames), stored, np.array(rewards, np.float32), ended)
        self._world.keep(rows)
        self._rows = [self._rows[row] for row in rows]


class Parts:
    """The episodes that are recorded and not yet joined: <path>.parts/<game>.npz."""

    def __init__(self, path: Path, config: Config, games: int):
        self.folder = path.with_name(path.name + ".parts")
        self.seeds = seeds.training_seeds(np.random.default_rng(config.general.seed), games)
        self._of_seed = {int(seed): game for game, seed in enumerate(self.seeds)}

    def claim(self, config: Config) -> None:
        """UserError where the folder holds games of another config, broken off earlier."""
        about = data.made_with(config.general) | {"seed": config.general.seed}
        path = self.folder / "made_with.json"
        if path.exists() and read_json(path) != about:
            raise UserError(
                f"{self.folder} holds unfinished games of another config: delete it, or record "
                "with that config to the end"
            )
        write_json(path, about)

    def path(self, game: int) -> Path:
        return self.folder / f"{game}.npz"

    def save(self, seed, states, actions, rewards, terminated) -> None:
        arrays = {"states": states, "actions": actions, "rewards": rewards}
        path = self.path(self._of_seed[seed])
        recordings.save(path, **arrays, terminated=np.array(terminated))

    def load(self, game: int) -> tuple:
        return tuple(recordings.load_arrays(self.path(game), NAMES))


def run(config: Config, args) -> None:
    """Record `args.n_games` games in all into `args.path`, on `args.processes` processes."""
    if args.agent:
        config.general.generating_agent = args.agent
    count = args.processes or mpi.usable_cores()
    agent = config.general.generating_agent == "agent"
    frames = int(np.prod(config.general.state_shape)) * (config.general.max_steps or STEPS)
    needed = mpi.TENSORFLOW_BYTES * (1 + agent) + 2 * frames * (AGENT_BATCH if agent else 1)
    with mpi.ranks(count, rank_bytes=needed, smaller="--processes") as ranks:
        if ranks.rank:
            _play_share(config, args, ranks)
            return
        with locks.only_one(args.path.parent, f"{args.path.name}-record"):
            found = _held(config, args)
            if found >= args.n_games:
                talk.result(f"{args.path}: {found} games already")
                ranks.broadcast(np.array([-1]))
                return
            Parts(args.path, config, args.n_games).claim(config)
            _announce(args, found, frames)
            _play_share(config, args, ranks, found)
            _join(config, args, found)


def _held(config: Config, args) -> int:
    """Games that the file holds; UserError where it is of another config or of another form."""
    if not args.path.exists():
        return 0
    with data.open_file(args.path, config.general, latent=False) as found:
        if found.states.dtype != np.dtype(args.state_dtype):
            raise UserError(
                f"{args.path} holds states {found.states.dtype}, --state_dtype is "
                f"{args.state_dtype}: give that, or another file"
            )
        return found.games


def _announce(args, found: int, frames: int) -> None:
    size = data.disk_bytes(args.path)
    more = (args.n_games - found) * frames / 12  # games of two colours pack that well
    missing = size + 2 * more - shutil.disk_usage(args.path.parent).free
    text = f"{args.path}: {found} games, {args.n_games - found} to play"
    talk.info(f"{text}; may take up to {(size + 2 * more) / 1e9:.2g} GB of disk while it records")
    if missing > 0:
        talk.info(f"that is {missing / 1e9:.2g} GB more than there may be: watch it")


def _play_share(config: Config, args, ranks: mpi.Ranks, found: int | None = None) -> None:
    """Play this rank's part of the games that are missing; all ranks return when all have."""
    found = int(ranks.broadcast(None if ranks.rank else np.array([found]))[0])
    if found < 0:
        return
    parts = Parts(args.path, config, args.n_games)
    games = np.arange(found, args.n_games)[ranks.share(args.n_games - found)]
    missing = [game for game in games if not parts.path(game).exists()]
    with progress.bar(len(games), "games", f"recording {ranks.rank}") as bar:
        bar.update(len(games) - len(missing))

        def save(*episode):
            parts.save(*episode)
            bar.update()

        if missing:
            _play(config, args, parts.seeds[missing], save)
    ranks.collect(np.zeros((len(games), 1)), args.n_games - found)


def _play(config: Config, args, episode_seeds: np.ndarray, save) -> None:
    """Hand an episode for each of the seeds to `save`."""
    general = config.general
    if general.generating_agent == "agent":
        # Here, because random play has no use for TensorFlow.
        from agent import Controllers, RealWorld, WorldModel, load_mind, mind_path
        from env import make

        env = make(general)
        env.close()
        model = WorldModel.load(config, env.actions)
        path = args.controller_path or mind_path(config, "_best")
        mind = load_mind(path, config, env.actions)
        near = neighbours(mind, episode_seeds, general.agent_noise)
        act, batch = Controllers(near, config, env.actions).act, AGENT_BATCH
        world, actions = RealWorld(model, config), env.actions
    else:
        world, batch = Games(general), 1
        actions = world.actions
        act = player(general.generating_agent, actions, episode_seeds)
    try:
        limit = general.max_steps and -(-general.max_steps // general.action_repeat)
        run_rollouts(Recorder(world, actions, save), act, episode_seeds, limit, batch)
    finally:
        world.close()


def _join(config: Config, args, found: int) -> None:
    """Put the new games behind those that the file held, and remove their parts."""
    parts = Parts(args.path, config, args.n_games)
    with atomic_path(args.path) as temporary:
        first = parts.load(found)
        if args.path.exists():
            shutil.copyfile(args.path, temporary)
        else:
            about, shape = data.made_with(config.general), first[0].shape[1:]
            columns, dtype = first[1].shape[1], first[1].dtype
            data.create(temporary, shape, args.state_dtype, columns, dtype, args.chunk_size, about)
        games = range(found, args.n_games)
        with progress.bar(len(games), "games", "joining") as bar:

            def episodes():
                for game in games:
                    yield parts.load(game)
                    bar.update()

            data.append(temporary, episodes())
    shutil.rmtree(parts.folder)
    with data.open_file(args.path, config.general) as file:
        lengths = np.diff(file.episodes)[found:]
        returns = np.add.reduceat(file.read("rewards", 0, file.count), file.episodes[:-1])[found:]
        talk.result(
            f"{args.path}: {file.games} games, {file.count} transitions; the new ones have "
            f"{lengths.mean():.1f} steps, return {returns.mean():.2f} +- {returns.std():.2f}"
        )
        if args.render:
            draw(args.path.with_suffix(".png"), file)


def draw(path: Path, file: data.Transitions, rows: int = 6, columns: int = 12) -> None:
    """Frames of some episodes, evenly spaced, one episode a row."""
    from agent import in_colour

    lines = []
    for game in np.linspace(0, file.games - 1, min(rows, file.games)).astype(int):
        first, last = file.episodes[game : game + 2]
        at = np.linspace(first, last - 1, columns).astype(int)
        lines.append(np.concatenate([in_colour(file.read("states", i, i + 1)) for i in at]))
    pictures.save(path, pictures.rows(lines, scale=2))
    talk.info(f"{path}: some of the games")
