"""Judge the stages for study/check.py: their measures, gates, advice and pictures.

An importable module, no command.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from estool import plot
from kit.batches import latents
from kit.command import progress, seeds
from kit.files.recordings import Recordings
from kit.judge import recorded, verdict
from kit.judge.verdict import Measure, Stage
from kit.show import pictures

from agent import Controllers, RealWorld, WorldModel, make_world
from policies import RecordedPlayer
from rnn import MDNRNN
from rnn_data import Series
from study import measures
from vae import VAE
from world import MAX_STEPS, Z_SIZE, discretise

# Gates. A V, M and C that are fit for the next stage stay inside them.
MANY = 1_000  # recordings: of fewer, M learns the deaths by heart
LENGTH = 1.2  # recorded to present length of an episode, either way
COLOUR = 4.0  # levels by which red, green or blue may be off; red for blue is 10
ERROR = 16.0  # V's squared error
DRAWN = 0.7  # share of the fireballs that V draws
GAIN = 0.35  # nats of a latent by which M beats persistence
RECALL = 0.8  # share of the deaths that M foresees at their frame
FALSE = 4.0  # alarms in 1000 steps that no death follows
KIND = 1.5  # dream to game survival, at most
HARD = 0.5  # and at least; a high temperature makes dreams hard
SOLVED = 750.0  # mean steps at which the game counts as solved


def judge_record(folder: Path, fresh: measures.Episodes, output: Path) -> Stage:
    """Are the recordings of this game, whole, and many?"""
    if not folder.is_dir():
        text = f"no {folder}/ here, {len(fresh.lengths)} episodes played now"
        return Stage("record", [], text=text)
    loaded, found = recorded.judge(folder, (), fresh.frames, MANY, COLOUR, output)
    lengths = [np.array([len(frames) for frames in part]) for part in (loaded, fresh.frames)]
    gate = {"least": 1 / LENGTH, "most": LENGTH, "advice": recorded.AGAIN}
    found.insert(3, verdict.ratio("length to that of episodes played now", *lengths, **gate))
    return Stage("record", found, "record.png", f"{folder}, {len(loaded)} looked at")


def judge_vae(
    path: Path, shipped: Path | None, fresh: measures.Episodes, count: int, output: Path
) -> Stage:
    """Does V keep what matters: the picture as a whole, and the fireballs in it?"""
    frames = measures.sample_frames(fresh, count)
    made = [latents.reconstruct(VAE(Z_SIZE).load(p), frames) for p in (path, shipped) if p]
    errors = [latents.squared_errors(frames, picture) for picture in made]
    drawn = [measures.fireballs_drawn(frames, picture) for picture in made]
    notes = [f"{shipped}: {x[1].mean():.3g}" if shipped else "" for x in (errors, drawn)]
    fire = [(frame[..., 0] > measures.BRIGHT).sum() for frame in frames]
    shown = np.argsort(fire)[:: -max(1, len(frames) // 36)][:12]  # the fieriest third
    lines = [frames[shown], *(pictures.to_uint8(picture[shown]) for picture in made)]
    pictures.save(output / "V.png", pictures.rows(lines, scale=2))
    longer = "train V for longer, or on more frames: python vae_train.py --preset laptop"
    name = f"fireballs of {measures.FIREBALL} pixels and more drawn"
    return Stage(
        "V",
        [
            verdict.mean("squared error", errors[0], most=ERROR, note=notes[0], advice=longer),
            verdict.share(name, drawn[0], least=DRAWN, note=notes[1], advice=longer),
        ],
        "V.png",
        f"{path}, {len(frames)} frames, {len(drawn[0])} fireballs; rows: game, V"
        + (f", {shipped}" if shipped else ""),
    )


def judge_series(path: Path, folder: Path, vae: VAE) -> Stage:
    """Was series.npz encoded by this V?"""
    if not (path.is_file() and folder.is_dir()):
        return Stage("series", [], text=f"no {path} with its recordings here")
    series, source = Series(path), Recordings(folder, ())
    episode = source.load(source.paths[0])
    if episode is None or len(episode[0]) != series.length[0]:
        return Stage("series", [], text=f"{path} does not begin with {source.paths[0]}")
    mu = latents.encode(vae, episode[0])[0]
    off = float(np.abs(mu - series.mu[: len(mu)].astype(np.float32)).mean())
    advice = "encode with this V: python series.py; then train M: python rnn_train.py --restart"
    measure = Measure("latents off from this V's", off, most=0.1, advice=advice)
    return Stage("series", [measure], text=str(path))


def judge_rnn(
    path: Path, vae: Path, shipped: tuple[Path, Path] | None, fresh: measures.Episodes, output: Path
) -> Stage:
    """Does M know what comes next, and when the agent dies? `shipped`: another M and its V."""
    seen, alarms = _lead(path, vae, fresh)
    gain, notes = seen.persistence - seen.nll, ["", ""]
    if shipped:
        other, its = _lead(*shipped, fresh)
        values = (other.persistence - other.nll).mean(), its.foreseen.mean()
        notes = [f"{shipped[0]}: {value:.3g}" for value in values]
    draw_foresight(output / "M.png", seen)
    longer = "train M for longer: python rnn_train.py --preset laptop"
    more = "M knows too few deaths: record more episodes, 10 000 and up, encode, train M again"
    steps = np.mean([len(frames) for frames in fresh.frames])
    deaths, false = alarms.foreseen, 1000 * alarms.false / steps
    raised = deaths.sum() + alarms.false.sum()
    gate = {"least": GAIN, "note": notes[0], "advice": longer}
    found = [verdict.mean("nats of a latent better than persistence", gain, **gate)]
    gate = {"least": RECALL, "note": notes[1], "advice": more}
    found += [
        verdict.share("deaths foreseen at their frame", deaths, **gate),
        verdict.mean("false alarms in 1000 steps", false, most=FALSE, advice=longer),
        Measure("share of deaths among alarms", deaths.sum() / max(1, raised)),
        Measure(f"alarms {measures.EARLY} frames early or less", alarms.early.sum()),
    ]
    text = (
        f"{path}, {len(gain)} episodes, NLL {seen.nll.mean():.3f}, "
        f"persistence {seen.persistence.mean():.3f}"
    )
    return Stage("M", found, "M.png", text)


def _lead(path: Path, vae: Path, fresh: measures.Episodes):
    """M along the fresh episodes, and its alarms."""
    encoder = VAE(Z_SIZE).load(vae)
    seen = [latents.sample_latents(*latents.encode(encoder, f), seed=1) for f in fresh.frames]
    moves = [discretise(actions) for actions in fresh.actions]
    found = measures.foresee(MDNRNN().load(path), seen, moves)
    died = np.array([len(frames) < MAX_STEPS for frames in fresh.frames])
    return found, measures.count_alarms(found.logits, died)


class Agent(NamedTuple):
    """A controller and how many real episodes it is to play."""

    path: Path
    controllers: Controllers
    episodes: int


def judge_dream(
    model: WorldModel, temperature: float, lengths: np.ndarray, agent: Agent | None, output: Path
) -> list[Stage]:
    """Does one live as long in the dream as in the game? And does the agent live long?

    `lengths` are those that the recorded player has just lived in the game.
    """
    dream, count = make_world("doomrnn", model, temperature), 2 * len(lengths)
    player = RecordedPlayer(seeds.check_seeds(0, count))
    with progress.bar(None, "steps", "dreaming") as bar:
        dreamed = measures.survival(dream, player, count, bar.update, 256)
        curves = {"recorded player, game": lengths, "recorded player, dream": dreamed}
        if agent:
            act, episodes = agent.controllers.act, agent.episodes
            virtual = measures.survival(dream, act, 4 * episodes, bar.update, 256)
            bar.set_description("the agent in the game")
            game = RealWorld(model)
            try:
                real = measures.survival(game, act, episodes, bar.update)
            finally:
                game.close()
            curves |= {"agent, game": real, "agent, dream": virtual}
    found = [_honesty("recorded player", dreamed, lengths)]
    stages = [Stage("dream", found, "dream.png", f"temperature {temperature:g}")]
    if agent:
        found.append(_honesty("agent", virtual, real))
        advice = "evolve C for longer: python train.py --preset laptop"
        measure = verdict.mean("steps in the game", real, least=SOLVED, advice=advice)
        picture = plot.save_beside(agent.path, output / "C.png", SOLVED)
        stages.append(Stage("C", [measure], picture, f"{agent.path}, {episodes} episodes"))
    draw_survival(output / "dream.png", curves)
    return stages


def _honesty(who: str, dreamed: np.ndarray, real: np.ndarray) -> Measure:
    kind = dreamed.mean() > real.mean()
    how = "too kind" if kind else "too hard"
    advice = f"the dream is {how}: train M on more episodes, or with "
    advice += f"{'higher' if kind else 'lower'} --temperature of train.py"
    gate = {"least": HARD, "most": KIND, "advice": advice}
    note = f"{dreamed.mean():.0f} steps dreamed, {real.mean():.0f} real"
    return verdict.ratio(f"{who}: dream to game", dreamed, real, note=note, **gate)


def draw_foresight(path: Path, seen: measures.Foresight) -> None:
    """Left, how much better than persistence M knows each episode; right, its alarms by frame."""
    figure, (left, right) = _figure(2, (12, 4))
    left.hist([seen.persistence, seen.nll], 20, label=["persistence", "M"])
    left.set(title="NLL of a latent, in nats", xlabel="mean of an episode", ylabel="episodes")
    before = 60
    ends = np.stack([logits[-before:] > 0 for logits in seen.logits if len(logits) >= before])
    right.plot(np.arange(-before + 1, 1), ends.mean(axis=0))
    right.set(
        title="restart logit above 0", xlabel="frames from the end", ylabel="share", ylim=(0, 1)
    )
    left.legend()
    pictures.save_figure(path, figure)


def draw_survival(path: Path, curves: dict[str, np.ndarray]) -> None:
    """Against steps: left, the share of the episodes that is still alive; right, deaths."""
    figure, (left, right) = _figure(2, (13, 5))
    for index, (name, lengths) in enumerate(curves.items()):
        style = {"color": f"C{index // 2}", "linestyle": "--" if index % 2 else "-"}
        alive = 1 - np.arange(len(lengths) + 1) / len(lengths)
        steps, label = np.append(0, np.sort(lengths)), f"{name}: {lengths.mean():.0f}"
        left.step(steps, alive, where="post", label=label, **style)
        right.stairs(measures.death_rates(lengths), measures.AGES, baseline=None, **style)
    left.set(xlabel="steps", ylabel="share alive", xlim=(0, MAX_STEPS), title="in dream and game")
    right.set(xlabel="steps", ylabel="deaths in 1000 steps", title="at which age")
    left.legend()
    pictures.save_figure(path, figure)


def _figure(columns: int, size: tuple[float, float]):
    """A matplotlib figure that needs no screen, and its axes."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure, axes
