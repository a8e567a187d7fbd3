"""Draw where an agent walks in the real game and where it dies, above the blind player.

Reads tf_models/ and a controller; writes walk.png. Each episode is a line: steps run from left to
right, the way from wall to wall runs upwards, a cross is a death.

  python -m study.walk log/doomrnn.cma.16.64.best.json [seed]
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from kit.batches.rollout import run_rollouts
from kit.command import seeds
from kit.show import pictures
from kit.tensors import precision

from agent import Controllers, RealWorld, load_agent
from doomreal import DoomReal
from policies import blind_policy
from world import INPUTS, MAX_STEPS, MODELS


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("controller", type=cli.existing_file, help="json")
    add("seed", nargs="?", type=cli.non_negative_int, default=0, help="of the first episode")
    add("--episodes", type=cli.positive_int, default=6, help="lines of each player")
    add("--inputs", choices=INPUTS, default="zch", help="what the controller sees")
    add("--models", type=Path, default=MODELS, help="folder of V, M and first latents")
    add("--max_length", type=cli.whole_number(1, MAX_STEPS), default=MAX_STEPS, help="steps")
    add("--output", type=cli.file_in(".png"), default=Path("walk.png"), help="the picture")
    return cli.parse(parser, argv=argv)


def moves(world, act, trial_seeds: np.ndarray, max_length: int) -> list[list[float]]:
    """The actions of every episode that `act` plays in `world`."""
    played = [[] for _ in trial_seeds]

    def remembered(observation, rows):
        actions = act(observation, rows)
        for row, action in zip(rows, actions, strict=True):
            played[row].append(float(action))
        return actions

    run_rollouts(world, remembered, trial_seeds, max_length)
    return played


def positions(game: DoomReal, seed: int, actions: list[float]) -> np.ndarray:
    """Positions float64 (T,) before each action of an episode played again."""
    game.reset(seed=int(seed))
    found = []
    for action in actions:
        found.append(game.position())
        game.step(np.float32(action))
    return np.array(found)


def draw(path: Path, players: dict[str, list[np.ndarray]]) -> None:
    """A panel a player, of its episodes' positions."""
    figure = Figure(figsize=(12, 2.6 * len(players)))
    axes = figure.subplots(len(players), 1, sharex=True)
    for axis, (name, walks) in zip(axes, players.items(), strict=True):
        for walk in walks:
            (line,) = axis.plot(walk, linewidth=1)
            if len(walk) < MAX_STEPS:
                axis.plot(len(walk) - 1, walk[-1], "x", color=line.get_color())
        axis.set(title=name, yticks=[16, 752], yticklabels=["right wall", "left wall"])
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("step")
    pictures.save_figure(path, figure)


def main(argv=None):
    args = parse(argv)
    precision.use_threads()
    trial_seeds = seeds.test_seeds(args.seed, args.episodes)
    model, parameters = load_agent(args)
    agent = Controllers(parameters[None].repeat(args.episodes, 0), args.inputs)
    world, game = RealWorld(model), DoomReal()
    try:
        players = {}
        for name, act in (("the agent", agent.act), ("blind", blind_policy(trial_seeds))):
            played = moves(world, act, trial_seeds, args.max_length)
            episodes = zip(trial_seeds, played, strict=True)
            players[name] = [positions(game, seed, actions) for seed, actions in episodes]
    finally:
        world.close()
        game.close()
    draw(args.output, players)
    steps = {name: np.mean([len(walk) for walk in walks]) for name, walks in players.items()}
    print(
        f"{args.output}: " + ", ".join(f"{name} {mean:.0f} steps" for name, mean in steps.items())
    )


if __name__ == "__main__":
    cli.run(main)
