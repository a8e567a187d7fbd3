"""The training loop: play, learn, log, evaluate, and go on after any end.

A run's folder holds config.yaml, train_episodes/ and eval_episodes/ (replay.py), metrics.jsonl,
TensorBoard's events, variables.npz (every checkpoint_minutes, at each evaluation and at the end).
"""

import collections
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tqdm
from gymnasium.vector import VectorEnv

from dreamerv2 import checkpoints
from dreamerv2.agents import make_agent, seen
from dreamerv2.config import Config
from dreamerv2.driver import Driver, action_size, play_episodes, random_policy
from dreamerv2.logger import JSONLOutput, Logger, Output, TensorBoardOutput, TerminalOutput
from dreamerv2.replay import Episode, Replay, require_memory
from dreamerv2.schedule import Every
from kit.command import interrupts, locks, progress, seeds
from kit.command.errors import UserError

VIDEO_ROWS = 600  # of an episode; a GIF of more takes megabytes
REPORT = 6  # sequences side by side in an open-loop video
REPORT_ROWS = 50
RECENT = 20  # episodes whose mean return the progress bar shows
MODES = ("train", "eval")
CONFIG = "config.yaml"
LOSSES = ("model_loss", "actor_loss", "critic_loss")


def train(
    config: Config,
    envs: VectorEnv,
    eval_envs: VectorEnv | None = None,
    outputs: Sequence[Output] | None = None,
    plain_names: bool = False,
) -> None:
    """Train an agent in `envs` until `config.steps` or `config.hours`; goes on where it stopped.

    Args: eval_envs: what evaluations are played in; without it, `envs` between two episodes.
    outputs: what is told of the run, in place of terminal, metrics.jsonl and TensorBoard.
    plain_names: logs "return" and "length" beside "train_return" and "train_length".
    Raises UserError for a folder in use or of another run, or too little memory, and
    KeyboardInterrupt, all saved, after Ctrl-C or SIGTERM.
    """
    logdir = Path(config.logdir).expanduser()
    with locks.only_one(logdir), interrupts.deferred() as stop:
        run = Run(logdir, config, envs, eval_envs or envs, outputs, plain_names, stop)
        try:
            run.prefill()
            run.learn()
        finally:
            run.logger.close()
        if stop.requested:
            raise KeyboardInterrupt


class Run:
    """One training, from what its folder holds on."""

    def __init__(self, logdir, config, envs, eval_envs, outputs, plain_names, stop):
        self._logdir, self._config, self._stop = logdir, config, stop
        self._started, self._hours = time.monotonic(), 0.0
        self._envs, self._eval_envs, self._plain_names = envs, eval_envs, plain_names
        _keep_config(logdir, config)
        print(_describe(envs, config), flush=True)
        shapes = {key: space.shape for key, space in envs.single_observation_space.items()}
        shapes["action"] = (action_size(envs),)
        options = dict(config.replay) | {"expected": shapes}
        self._replay = Replay(
            logdir / "train_episodes",
            memory_bytes=config.replay_gb * 1e9,
            seed=(config.seed, 0),
            **options,
        )
        options |= {"capacity": config.replay.capacity // 10, "ongoing": False}
        self._eval_replay = Replay(
            logdir / "eval_episodes",
            memory_bytes=config.replay_gb * 1e8,
            seed=(config.seed, 1),
            **options,
        )
        self.step = self._replay.total_steps
        self._driver = Driver(envs, _training_seeds(config.seed, self.step))
        self._replay.unfinished = self._driver.unfinished
        if outputs is None:
            first = self.step * config.action_repeat if self.step else None
            outputs = [TerminalOutput(), JSONLOutput(logdir)]
            outputs.append(TensorBoardOutput(logdir, first_step=first))
        self.logger = Logger(outputs, config.action_repeat)
        self._recent: collections.deque[float] = collections.deque(maxlen=RECENT)
        self._metrics: dict[str, list[float]] = collections.defaultdict(list)
        films = (*MODES, "train_openl")  # each evaluation's time: they are megabytes
        self._films = {name: Every(config.eval_every, -config.eval_every) for name in films}

    def prefill(self) -> None:
        """Random play until the replay has `prefill` steps and an episode to learn from."""
        wanted = self._config.prefill
        if self.step >= wanted and len(self._replay):
            return
        policy = random_policy(self._envs, (self._config.seed, 2, self.step))
        with progress.bar(wanted, "steps", "random play", self.step) as bar:
            while (self.step < wanted or not len(self._replay)) and not self._stop.requested:
                self._play(policy)
                bar.update(self._envs.num_envs)
        self._cut()

    def learn(self) -> None:
        """Play and learn; leaves a checkpoint, however it ends."""
        config = self._config
        if self._stop.requested:
            return
        agent = self._agent = make_agent(config, self._envs)
        values = checkpoints.load(self._logdir, agent) or {"hours": 0.0, "evaluated": None}
        config.save(self._logdir / CONFIG)  # the checkpoint is of these settings
        self._evaluated, self._hours = values["evaluated"], values["hours"]
        self._saved = time.monotonic()
        agent.step = self.step
        if "step" not in values:
            self._pretrain()
        trains = Every(config.train_every, self.step)
        logs = Every(config.log_every, self.step)
        if self.step >= config.steps:
            print(f"{self._logdir}: has its {self.step} steps; give more --steps to go on")
        self.logger.step = self.step
        self.logger.start_clock()
        with progress.bar(config.steps, "steps", "training", self.step) as bar:
            while self._goes_on():
                if self._evaluation_due():
                    self._evaluate()
                    continue
                self._play(self._policy("explore" if self._explores() else "train"))
                for _ in range(trains.due(self.step) * config.train_steps):
                    if self._stop.requested:
                        break
                    self._update()
                if logs.due(self.step):
                    self._log()
                if time.monotonic() > self._saved + 60 * config.checkpoint_minutes:
                    self._save()
                bar.set_postfix(self._summary(), refresh=False)
                bar.update(self._envs.num_envs)
        self._cut()
        if not self._stop.requested and config.eval_every and self._evaluated != self.step:
            self._evaluate()
        self._save()

    def _goes_on(self) -> bool:
        config = self._config
        in_time = not config.hours or self._hours_now() < config.hours
        return self.step < config.steps and in_time and not self._stop.requested

    def _hours_now(self) -> float:
        return self._hours + (time.monotonic() - self._started) / 3600

    def _explores(self) -> bool:
        return not self._config.expl_until or self.step < self._config.expl_until

    def _policy(self, mode: str):
        return lambda observation, state: self._agent.policy(observation, state, mode)

    def _play(self, policy) -> None:
        """One step in each environment, and what follows from it."""
        finished = self._driver.step(policy)
        self.step += self._envs.num_envs
        self.logger.step = self.step
        for _, episode in finished:
            self._replay.add_episode(episode)
            self._recent.append(float(episode["reward"].sum()))
            self._log_episode(episode, "train")

    def _cut(self) -> None:
        """Store the episodes under way: an interrupted run loses no step."""
        for episode in self._driver.reset():
            self._replay.add_episode(episode)

    def _pretrain(self) -> None:
        with progress.bar(self._config.pretrain, "train steps", "pretraining") as bar:
            for _ in range(self._config.pretrain):
                if self._stop.requested:
                    return
                self._update()
                bar.update()

    def _update(self) -> None:
        """One train step."""
        self._agent.step = self.step
        metrics = self._agent.train(self._replay.batch(**self._config.dataset))
        for name, value in metrics.items():
            self._metrics[name].append(float(value))
        if not all(np.isfinite(self._metrics[name][-1]) for name in LOSSES if name in metrics):
            raise UserError(
                f"the loss is no longer finite at step {self.step}: give a lower --model_opt.lr "
                "or --precision 32; the same command goes on from the last checkpoint"
            )

    def _log(self) -> None:
        """The mean of each metric since the last time, and now and then an open-loop video."""
        self.logger.add({name: np.mean(values) for name, values in self._metrics.items()})
        self._metrics.clear()
        self.logger.add({"hours": self._hours_now()})
        if self._films["train_openl"].due(self.step):
            self._report(self._replay, "train")
        self.logger.write(fps=True)

    def _report(self, replay: Replay, mode: str) -> None:
        rows = max(REPORT_ROWS, self._config.dataset.length)
        self.logger.add(self._agent.report(replay.batch(REPORT, rows)), prefix=mode)

    def _log_episode(self, episode: Episode, mode: str) -> None:
        config = self._config
        score = float(episode["reward"].astype(np.float64).sum())
        values = {"return": score, "length": len(episode["reward"]) - 1}
        self.logger.add(values, prefix=mode)
        if self._plain_names and mode == "train":
            self.logger.add(values)
        for key, value in episode.items():
            sums = {"sum": np.sum, "mean": np.mean, "max": lambda rows: rows.max(0).mean()}
            for name, function in sums.items():
                if re.match(config[f"log_keys_{name}"], key):
                    self.logger.add({f"{name}_{mode}_{key}": function(value)})
        if self._films[mode].due(self.step):
            films = [key for key in config.log_keys_video if key in episode]
            self.logger.add({f"policy_{key}": episode[key][:VIDEO_ROWS] for key in films}, mode)
        stored = self._replay if mode == "train" else self._eval_replay
        self.logger.add(stored.stats, prefix=mode)
        self.logger.add({"hours": self._hours_now()})
        self.logger.write()

    def _evaluation_due(self) -> bool:
        every = self._config.eval_every
        shared = self._eval_envs is self._envs
        due = every and (self._evaluated is None or self.step >= self._evaluated + every)
        return bool(due) and not (shared and not self._driver.between_episodes)

    def _evaluate(self) -> None:
        """Play episodes as well as the agent can, on the same seeds each time."""
        chosen = [int(seed) for seed in seeds.selection_seeds(self._config.eval_eps)]
        if self._eval_envs is self._envs:
            self._cut()
        episodes = play_episodes(
            self._eval_envs, self._policy("eval"), chosen, lambda: self._stop.requested
        )
        if self._stop.requested:
            return
        for episode in episodes:
            self._eval_replay.add_episode(episode)
            self._log_episode(episode, "eval")
        self._report(self._eval_replay, "eval")
        self.logger.write()
        returns = [float(episode["reward"].sum()) for episode in episodes]
        score = f"{np.mean(returns):.4g} ± {np.std(returns):.3g} over {len(returns)} episodes"
        tqdm.tqdm.write(f"[{self.logger.shown_step}] evaluation: return {score}")
        self._evaluated = self.step
        self._save()

    def _save(self) -> None:
        values = {"step": self.step, "hours": self._hours_now(), "evaluated": self._evaluated}
        checkpoints.save(self._logdir, self._agent, **values)
        self._saved = time.monotonic()

    def _summary(self) -> dict[str, str]:
        return {"return": f"{np.mean(self._recent):.3g}"} if self._recent else {}


def _keep_config(logdir: Path, config: Config) -> None:
    """Write config.yaml where there is none; UserError where it is of another task.

    An older one is written over once the checkpoint beside it is known to be of these settings.
    """
    path = logdir / CONFIG
    if path.exists():
        task = Config.load(path).get("task")
        if task != config.task:
            raise UserError(
                f"{logdir} holds a run of {task!r}, not of {config.task!r}: name another --logdir"
            )
    else:
        config.save(path)


def _describe(envs: VectorEnv, config: Config) -> str:
    """Two sentences before the start: what is seen and done, and what the replay will take."""
    spaces = envs.single_observation_space.spaces
    shown = ", ".join(f"{key} {space.shape}" for key, space in seen(envs).items())
    row = sum(space.dtype.itemsize * int(np.prod(space.shape)) for space in spaces.values())
    row += 4 * action_size(envs) + 7  # the action, the reward and three truth values
    memory = require_memory(row, config.replay.capacity, config.replay_gb * 1e9)
    return f"Observations: {shown}; actions: {envs.single_action_space}.\n{memory}"


def _training_seeds(seed: int, step: int) -> Iterator[int]:
    """A seed for each episode; others after each start."""
    rng = np.random.default_rng((seed, 3, step))
    while True:
        yield int(seeds.training_seeds(rng, 1)[0])
