"""Judge the stages for study/check.py: their measures, gates, advice and pictures.

An importable module, no command.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from estool import plot
from kit.batches import latents
from kit.command import progress
from kit.files.recordings import Recordings
from kit.judge import recorded, verdict
from kit.judge.verdict import Measure, Stage
from kit.show import pictures

from agent import Controllers, RealWorld, WorldModel
from rnn import MDNRNN, dream_on
from rnn_data import Series
from study import measures
from vae import VAE
from world import KINDS, Z_SIZE

# Gates. A V, M and C that are fit for the next stage stay inside them.
MANY = 200  # recordings
COLOUR = 12.0  # levels by which red, green or blue may be off; red for green is 80
ERROR = 18.0  # V's squared error on either drawing
ROAD = 0.75  # overlap of V's road with the real one
CAR = 10.0  # levels of 255 by which V's car is off
GAIN = 0.25  # nats of a latent by which M beats persistence
DRIFT = 0.7  # squared error of M's mean expectation, led on by itself, to the start's
ACTIVE = 0.3  # deviation of a latent that V uses
SPREAD = 2.0  # deviation of dreamed latents to that of real ones, either way
LOST = 60.0  # return that the agent may lose on stock's drawing
SOLVED = 900.0  # mean return at which the task counts as solved


class Fresh(NamedTuple):
    """Episodes driven for this check, by who draws them."""

    fast: measures.Episodes
    stock: measures.Episodes


def judge_record(folder: Path, fresh: Fresh, output: Path) -> Stage:
    """Are the recordings of this game, whole, and many?"""
    if not folder.is_dir():
        text = f"no {folder}/ here, {len(fresh.fast.frames)} episodes driven now"
        return Stage("record", [], text=text)
    loaded, found = recorded.judge(folder, (3,), fresh.fast.frames, MANY, COLOUR, output)
    road = [[measures.road_mask(frames[::20]).any(axis=(1, 2)).mean() for frames in loaded]]
    found.append(Measure("share of frames with a road", float(np.mean(road))))
    return Stage("record", found, "record.png", f"{folder}, {len(loaded)} looked at")


def judge_vae(
    path: Path, shipped: Path | None, fresh: Fresh, count: int, output: Path, driven=None
) -> Stage:
    """Does V keep what matters: road, kerbs and car, in either drawing, and what the agent sees?

    `driven`: frames (B, 64, 64, 3) that the agent saw, or None.
    """
    vae, other = VAE(Z_SIZE).load(path), VAE(Z_SIZE).load(shipped) if shipped else None
    longer = "train V for longer, or on more frames: python vae_train.py --preset laptop"
    both = "record both drawings (extract.py --renderer both) and train V again"
    sets = {"fast": (fresh.fast.frames, longer), "stock": (fresh.stock.frames, both)}
    if driven is not None and len(driven):
        sets["the agent's frames"] = driven, None
    found, shown = [], []
    for name, (frames, advice) in sets.items():
        frames = measures.sample_frames(frames, count)
        made = latents.reconstruct(vae, frames)
        drawn, note = pictures.to_uint8(made), ""
        if other:
            its = latents.squared_errors(frames, latents.reconstruct(other, frames))
            note = f"{shipped}: {its.mean():.3g}"
        errors = latents.squared_errors(frames, made)
        overlap, title = measures.road_overlap(frames, drawn), f"overlap of the roads, {name}"
        error, road = {"note": note}, {}
        if advice:  # an agent that does odd things sees odd things: of its frames it is only told
            error |= {"most": ERROR, "advice": advice}
            road |= {"least": ROAD, "advice": advice}
        found.append(verdict.mean(f"squared error, {name}", errors, **error))
        found.append(verdict.mean(title, overlap, **road))
        if name == "fast":
            car = measures.part_error(frames, drawn, measures.car_mask(len(frames)))
            kerb = measures.part_error(frames, drawn, measures.kerb_mask(frames))
            found.append(Measure("car off, levels of 255", car, most=CAR, advice=longer))
            found.append(Measure("kerbs off, levels of 255", kerb))
        most = np.argsort(-measures.road_mask(frames).sum(axis=(1, 2)))[: len(frames) // 2]
        chosen = most[:: max(1, len(most) // 12)][:12]
        shown += [frames[chosen], drawn[chosen]]
    width = min(len(line) for line in shown)
    pictures.save(output / "V.png", pictures.rows([line[:width] for line in shown], scale=2))
    return Stage("V", found, "V.png", f"{path}; rows, game above V: {', '.join(sets)}")


def judge_series(path: Path, folder: Path, vae: VAE) -> Stage:
    """Was series.npz encoded by this V?"""
    if not (path.is_file() and folder.is_dir()):
        return Stage("series", [], text=f"no {path} with its recordings here")
    series, source = Series(path), Recordings(folder, (3,))
    episode = source.load(source.paths[0])
    if episode is None or len(episode[0]) != series.mu.shape[1]:
        return Stage("series", [], text=f"{path} does not begin with {source.paths[0]}")
    off = float(np.abs(latents.encode(vae, episode[0])[0] - series.mu[0]).mean())
    advice = "encode with this V: python series.py; then train M: python rnn_train.py --restart"
    measure = Measure("latents off from this V's", off, most=0.1, advice=advice)
    return Stage("series", [measure], text=str(path))


class Encoded(NamedTuple):
    """Fresh episodes as one V sees them: mu and a sampled z, float32 (E, T, Z)."""

    mu: np.ndarray
    z: np.ndarray
    actions: np.ndarray  # (E, T, 3)


def encode(vae: Path, episodes: measures.Episodes) -> Encoded:
    """Encode all frames."""
    model = VAE(Z_SIZE).load(vae)
    encoded = [latents.encode(model, frames) for frames in episodes.frames]
    mu, logvar = (np.stack(part) for part in zip(*encoded, strict=True))
    return Encoded(mu, latents.sample_latents(mu, logvar, seed=1), episodes.actions)


def judge_rnn(
    path: Path, seen: Encoded, shipped: tuple[Path, Encoded] | None, output: Path
) -> Stage:
    """Does M know what comes next, at once and for a while?

    `shipped`: another M, and the episodes as its V sees them.
    """
    rnn, note = MDNRNN().load(path), ""
    found, drift = measures.foresee(rnn, seen.z, seen.actions), measures.drift(rnn, *seen[::2])
    if shipped:
        other = measures.foresee(MDNRNN().load(shipped[0]), *shipped[1][1:])
        note = f"{shipped[0]}: {(other.persistence - other.nll).mean():.3g}"
    draw_foresight(output / "M.png", found, drift)
    longer = "train M for longer, or on more episodes: python rnn_train.py --preset laptop"
    name = "nats of a latent better than persistence"
    gain = found.persistence - found.nll
    measure = verdict.mean(name, gain, least=GAIN, note=note, advice=longer)
    name = f"{measures.HORIZON} steps alone: error to persistence's"
    sums = drift.led.sum(axis=0), drift.frozen.sum(axis=0)
    alone = verdict.ratio(name, *sums, most=DRIFT, advice=longer)
    text = f"{path}, {len(gain)} episodes, NLL {found.nll.mean():.3f}, persistence "
    return Stage("M", [measure, alone], "M.png", f"{text}{found.persistence.mean():.3f}")


def judge_dream(rnn: Path, vae: Path, seen: Encoded, temperature: float, output: Path) -> Stage:
    """Does a long dream stay like reality?

    No reward is modelled, so that there is no dreamed return to hold against the real one.
    """
    model = MDNRNN().load(rnn)
    spread = measures.spread(model, seen.mu, seen.actions, temperature)
    active = seen.mu.std(axis=(0, 1)) > ACTIVE
    advice = "the dream grows wild or dies away: train M for longer, or change --temperature"
    name = "dreamed latents' deviation to real ones'"
    gate = {"least": 1 / SPREAD, "most": SPREAD, "advice": advice}
    found = [verdict.mean(name, spread[active], **gate)]
    draw_dream(output / "dream.png", model, VAE(Z_SIZE).load(vae), seen, temperature)
    text = f"temperature {temperature:g}, {int(active.sum())} active latents; reality above dream"
    return Stage("dream", found, "dream.png", text)


class Agent(NamedTuple):
    """A controller and how many tracks it is to drive."""

    path: Path
    controllers: Controllers
    episodes: int


def let_drive(model: WorldModel, agent: Agent) -> dict[str, measures.Drive]:
    """The agent on the same tracks, drawn by either: {kind: Drive}."""
    result = {}
    with progress.bar(None, "steps", "driving") as bar:
        for kind in KINDS:
            world = RealWorld(model, kind)
            try:
                act = agent.controllers.act
                result[kind] = measures.drive(world, act, agent.episodes, bar.update)
            finally:
                world.close()
    return result


def judge_agent(agent: Agent, drives: dict[str, measures.Drive], output: Path) -> Stage:
    """Does the agent drive well, and as well on stock as on what it was evolved on?"""
    stock, fast = (drives[kind] for kind in ("stock", "fast"))
    longer = "evolve C for longer: bash gce_train.bash"
    both = "V sees stock's drawing worse: record both drawings, train V again, go on with C"
    name = "return lost on stock against fast"
    lost = fast.returns - stock.returns
    return Stage(
        "C",
        [
            verdict.mean("return on stock", stock.returns, least=SOLVED, advice=longer),
            verdict.mean("return on fast", fast.returns),
            verdict.mean(name, lost, most=LOST, advice=both),
            Measure("share of laps finished, stock", float(stock.laps.mean())),
        ],
        plot.save_beside(agent.path, output / "C.png", SOLVED),
        f"{agent.path}, {len(lost)} tracks",
    )


def draw_foresight(path: Path, seen: measures.Foresight, drift: measures.Drift) -> None:
    """Left, how much better than persistence M knows each episode; right, its way alone."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hist([seen.persistence, seen.nll], 20, label=["persistence", "M"])
    left.set(title="NLL of a latent, in nats", xlabel="mean of an episode", ylabel="episodes")
    for name, errors in (("M alone, under the real actions", drift.led), ("frozen", drift.frozen)):
        right.plot(np.arange(1, len(errors) + 1), errors.mean(axis=1), label=name)
    right.set(title="squared distance to the real latents", xlabel="steps alone")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend()
    pictures.save_figure(path, figure)


def draw_dream(path: Path, rnn: MDNRNN, vae: VAE, seen: Encoded, temperature: float) -> None:
    """An episode as V sees it, above M's dream of it under the same actions."""
    warm_up, every, shown = measures.WARM_UP, 8, 12
    steps = slice(0, warm_up + every * shown)
    liveliest = np.argmax(seen.mu.std(axis=1).mean(axis=1))
    real, actions = seen.mu[liveliest, steps], seen.actions[liveliest, steps]
    dreamed = dream_on(rnn, real, actions, warm_up, temperature, 0)
    lines = [pictures.to_uint8(vae.decode(z[warm_up::every])) for z in (real, dreamed)]
    if len(lines[0]):
        pictures.save(path, pictures.rows(lines, scale=2))
