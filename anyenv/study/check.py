"""check: say which stage is bad, V, M, the dream or C, with numbers and a picture each.

An importable module; `python run.py check` is the command. It plays games with seeds
that nothing else uses: the player of the recordings, and C where there is one. Writes
check/{V,dream}.png and check/check.json. The exit status is 0 where all is good and 1 where a stage
is poor; the last line names the one to mend first, for what stands on a poor stage cannot be good.
"""

import sys
from pathlib import Path

import numpy as np

from kit.batches.rollout import run_rollouts
from kit.command import seeds
from kit.judge import verdict
from kit.judge.verdict import Measure, Report, Stage
from kit.show import panels, pictures
from kit.tensors import precision

from agent import Controllers, RealWorld, WorldModel, load_mind, mind_path
from config import Config
from dream import Dream
from env import Games
from models import load_memory, load_vision
from policies import POLICIES, player
from rnn import dream_on
from study import measures

# Gates. A stage that meets them can be built on; none that meets them need be the best there is.
ERROR = 0.5  # V's squared error to that of the mean frame
ACTIVE = 0.2  # deviation of a latent that V uses
FEWEST = 2  # latents that it should use
GAIN = 0.0  # nats of a latent by which M beats the guess that it stays
DRIFT = 1.0  # squared error of M alone for some steps to that of staying put
SPREAD = 2.0  # deviation of dreamed latents to that of real ones, either way
SHOWN = 12  # frames of a picture's row


def run(config: Config, args) -> None:
    """Judge what the config names; leave with status 1 where a stage is poor."""
    precision.use_threads(1)
    report = Report(args.output)
    args.output.mkdir(parents=True, exist_ok=True)
    world, trial_seeds = Games(config.general), seeds.check_seeds(0, args.episodes)
    actions = world.actions
    name = config.general.generating_agent
    name = name if name in POLICIES else "random"
    act = player(name, actions, trial_seeds)
    try:
        games, base = measures.play(world, act, actions, 0, args.episodes, f"{name} plays")
    finally:
        world.close()
    vae = load_vision(args.vae_path or Path(config.vae.ckpt_path), config)
    memory_path = args.mdn_path or Path(config.rnn.ckpt_path)
    memory = None
    if memory_path.exists() or args.mdn_path:
        memory = load_memory(memory_path, config, actions.size)
    mind = args.controller_path or mind_path(config, "_best")
    model, returns, more = None, None, []
    if memory and (mind.exists() or args.controller_path):
        model = WorldModel(vae, memory, actions)
        world = RealWorld(model, config)
        weights = load_mind(mind, config, actions)[None].repeat(args.episodes, axis=0)
        act = Controllers(weights, config, actions).act
        try:
            more, returns = measures.play(world, act, actions, 0, args.episodes, "C plays")
        finally:
            world.close()
    report.add(judge_vae(vae, games + more, args))
    if memory is None:
        report.add(Stage("M", [], text=f"no {memory_path} yet: train_mem writes it"))
        sys.exit(report.finish())
    seen = measures.see(vae, games + more, actions)
    report.add(judge_memory(memory, seen, memory_path))
    dream = Dream(memory, actions, config.es.temperature, config.es.max_steps)
    # the policies of the recordings have drawn their chances by now; C has none
    act = act if model else player(name, actions, trial_seeds)
    of_player = seen[len(games) :] or seen
    ratios = measures.spread(dream, act, trial_seeds, of_player)
    report.add(judge_dream(dream, vae, memory, of_player, ratios, args))
    if model is None:
        report.add(Stage("C", [], text=f"no {mind} yet: train_ctrl writes it"))
    else:
        report.add(judge_agent(config, model, weights, returns, base, name, mind))
    sys.exit(report.finish())


def judge_vae(vae, games, args) -> Stage:
    """Does V keep more than the mean frame, with more than a latent or two?"""
    frames = np.concatenate([game.frames for game in games])
    chosen = np.random.default_rng(0).permutation(len(frames))[: args.frames]
    frames = frames[np.sort(chosen)]
    mu, _ = measures.encode(vae, frames)
    longer = "train V for longer or on more games, or raise vae_training.reconstruction_weight"
    active = int((mu.std(axis=0) > ACTIVE).sum())
    found = [Measure("latents in use", active, least=FEWEST, advice=longer)]
    if not vae.can_decode:
        return Stage("V", found, text="an encoder alone: no reconstruction to judge")
    made = np.concatenate([vae.decode(mu[i : i + 100]) for i in range(0, len(mu), 100)])
    errors = measures.squared_errors(frames, made)
    mean = measures.squared_errors(frames, (frames / 255.0).mean(axis=0))
    name = "squared error to the mean frame's"
    found.insert(0, verdict.ratio(name, errors, mean, most=ERROR, advice=longer))
    found.append(verdict.mean("squared error", errors))
    shown = np.linspace(0, len(frames) - 1, SHOWN).astype(int)
    rows = {"game": frames[shown], "by V": pictures.to_uint8(made[shown])}
    pictures.save(args.output / "V.png", panels.table(rows))
    return Stage("V", found, "V.png", f"{len(frames)} frames")


def judge_memory(memory, seen, path: Path) -> Stage:
    """Does M know what comes next, at once and for some steps; and rewards and ends?"""
    found = measures.foresee(memory.rnn, seen, memory.rewards.offset, memory.rewards.scale)
    longer = "train M for longer or on more games"
    name = "nats of a latent better than that it stays"
    gain = found.persistence - found.nll
    stage = [verdict.mean(name, gain, least=GAIN, advice=longer)]
    led, frozen = measures.drift(memory.rnn, seen)
    if len(led) > 1:
        name = f"{measures.HORIZON} steps alone: error to standing still's"
        stage.append(verdict.ratio(name, led, frozen, most=DRIFT, advice=longer))
    if found.rewards is not None and len(found.rewards):
        came, told = found.rewards.T
        if came.std() > 0:
            share = ((came - told) ** 2).mean() / came.var()
            stage.append(Measure("reward: squared error to the mean's", float(share)))
        else:
            off = float(np.abs(came - told).mean())
            stage.append(Measure("reward: off, of one that never changes", off))
    if len(found.ends) and found.ends[:, 0].any():
        ended, likely = found.ends.T
        stage.append(Measure("end: mean probability where it came", likely[ended > 0].mean()))
        stage.append(Measure("end: elsewhere", likely[ended == 0].mean()))
    return Stage("M", stage, text=f"{path}, {len(seen)} games, NLL {found.nll.mean():.3f}")


def judge_dream(dream: Dream, vae, memory, seen, ratios, args) -> Stage:
    """Does a dream stay like the game, for the same player?"""
    temperature = dream.temperature
    active = np.concatenate([game.mu for game in seen]).std(axis=0) > ACTIVE
    advice = "the dream grows wild or dies away: train M for longer, or change the temperature"
    gate = {"least": 1 / SPREAD, "most": SPREAD, "advice": advice}
    name = "dreamed latents' deviation to real ones'"
    found = [verdict.mean(name, ratios[active], **gate)] if active.any() else []
    text, picture = f"temperature {temperature:g}; game above dream", ""
    if vae.can_decode:
        longest = max(seen, key=lambda game: len(game.mu))
        z = longest.mu[: 10 * SHOWN]
        dreamed = dream_on(memory.rnn, z, longest.actions, len(z) // 4, temperature, 0)
        at = np.linspace(len(z) // 4, len(z) - 1, SHOWN).astype(int)
        rows = {
            n: pictures.to_uint8(vae.decode(v[at])) for n, v in (("game", z), ("dream", dreamed))
        }
        picture = "dream.png"
        pictures.save(args.output / picture, panels.table(rows))
    return Stage("dream", found, picture, text)


def judge_agent(config: Config, model, weights, returns, base, name: str, path: Path) -> Stage:
    """Does C play better than the player of the recordings, and as its dream says?"""
    longer = "evolve C for longer, or mend what stands before it"
    error = float(np.sqrt(returns.var() / len(returns) + base.var() / len(base)))
    better = Measure(
        f"return above {name}'s", returns.mean() - base.mean(), error, least=0.0, advice=longer
    )
    dream = Dream(model.memory, model.actions, config.es.temperature, config.es.max_steps)
    act = Controllers(weights, config, model.actions).act
    dreamed, _ = run_rollouts(dream, act, seeds.check_seeds(0, len(weights)))
    return Stage(
        "C",
        [
            better,
            verdict.mean("return in the game", returns),
            verdict.mean(f"return of {name}", base),
            verdict.mean("return in the dream", dreamed),
        ],
        text=f"{path}, {len(returns)} games",
    )
