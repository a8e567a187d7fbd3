"""The temperature table: agents evolved in dreams of different temperatures, in dream and game.

Reads tf_models/. Trains an agent for each temperature in temperatures/tau-<t>/. First comes a first
agent, then its advantage (advantage.py), then the agent itself, searched along both. Generations
are chosen in the dream alone, as in the paper. Scores the agent in that dream and in the real game,
on test seeds. Writes temperatures/table.md, results.json and
cheating.png: the agent of the lowest temperature, in its dream and in the game.

  python -m study.temperatures --preset laptop            six agents, 40 and 60 generations each
  python -m study.temperatures --temperatures 1.15 1.25   only these

Started again it goes on where it stopped.
"""

from kit.command import cli

cli.begin(__name__)

import dataclasses
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from estool.study import variants
from estool.study.variants import CONTROLLER, Place, Variant
from kit.command import seeds
from kit.files.weights import load_controller
from kit.show import pictures

from world import MAX_STEPS, MODELS

PAPER = {  # temperature: dream, game; mean and standard deviation (paper, table 2)
    0.1: ("2086 ± 140", "193 ± 58"),
    0.5: ("2060 ± 277", "196 ± 50"),
    1.0: ("1145 ± 690", "868 ± 511"),
    1.15: ("918 ± 546", "1092 ± 556"),
    1.3: ("732 ± 269", "753 ± 139"),
}
RANDOM = "210 ± 108"  # the paper's random player in the game
MOMENTS = 8  # columns of the film strip
SEARCH = ("components", "population", "num_episode", "sigma_init", "average", "eval_steps")
PRESETS = {
    "smoke": {"temperatures": [0.1, 1.25], "generations": 2, "episodes": 4, "max_length": 100}
    | {"components": 0, "population": 6, "num_episode": 2, "average": 1, "eval_steps": 1}
    | {"first": 2, "pushed": 400},
    "laptop": {},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    sizes = {
        "generations": 60,
        "population": 128,
        "num_episode": 2,
        "eval_steps": 20,
        "episodes": 300,
    }
    folders = {"models": MODELS, "output": Path("temperatures"), "max_length": MAX_STEPS}
    variants.add_arguments(parser, **sizes, **folders)
    add = parser.add_argument
    default = [0.1, 0.5, 1.0, 1.15, 1.25, 1.3]
    text = "of the dreams, an agent each"
    add("--temperatures", type=cli.positive_float, nargs="+", default=default, help=text)
    add("--first", type=cli.positive_int, default=40, help="generations of the agent before it")
    add("--pushed", type=cli.positive_int, default=9_000, help="dreams that show the advantage")
    text = "principal components that an agent is searched along, beside the first agent and its "
    text += "advantage; 0: all weights, from the first agent on"
    add("--components", type=cli.non_negative_int, default=32, help=text)
    add("--sigma_init", type=cli.positive_float, default=0.2, help="step size at the start")
    text = "generations whose means are averaged into an agent"
    add("--average", type=cli.positive_int, default=10, help=text)
    return variants.check_arguments(
        parser, cli.parse(parser, PRESETS, argv), ("generations", "first")
    )


def train_arguments(args, temperature: float) -> list[str]:
    """Of train.py, for both agents of a temperature."""
    train = ["--preset", args.preset or "laptop", "--eval_world", "doomrnn"]
    train += ["--models", str(args.models), "--max_length", str(args.max_length)]
    train += ["--seed_start", str(args.seed_start), "--temperature", str(temperature)]
    return train + [word for name in SEARCH for word in (f"--{name}", str(getattr(args, name)))]


def model_files(args) -> list[Path]:
    """What every agent stands on."""
    return [args.models / f"{name}.json" for name in ("vae", "rnn", "initial_z")]


def train_first(args, place: Place, temperature: float) -> tuple[Path, Path]:
    """The first agent of a temperature and its advantage, trained unless they are there."""
    name = f"tau-{temperature:g}/first"
    first = Variant(name, train_arguments(args, temperature), {}, model_files(args))
    trained = variants.train(first, dataclasses.replace(place, generations=args.first))
    agent, advantage = Path(f"{trained}.best.json"), place.folder / name / "advantage.json"
    words = [str(agent), "--preset", args.preset or "laptop", "--temperature", str(temperature)]
    words += ["--episodes", str(args.pushed), "--max_length", str(args.max_length)]
    words += ["--models", str(args.models), "--output", str(advantage)]
    variants.make(place, "advantage.py", words, advantage, [agent, *model_files(args)])
    return agent, advantage


def make_variant(args, temperature: float, agent: Path, advantage: Path) -> Variant:
    """The training along `agent` and its advantage, scored in its own dream and in the game."""
    found = [str(agent), str(advantage)]
    train = train_arguments(args, temperature)
    train += ["--along", *found] if args.components else ["--init_opt", found[0]]
    play = ["norender", CONTROLLER, str(args.seed), "--episodes", str(args.episodes)]
    play += ["--temperature", str(temperature), "--models", str(args.models)]
    play += ["--max_length", str(args.max_length)]
    scores = {world: [world, *play] for world in ("doomrnn", "doomreal")}
    files = [*model_files(args), agent, advantage]
    return Variant(f"tau-{temperature:g}", train, scores, files)


def random_arguments(args) -> list[str]:
    """Of model.py, to score the random player in the game."""
    return ["doomreal", "norender", "--policy", "random", "--episodes", str(args.episodes)]


def table(args, results: dict, random: dict) -> str:
    """Our scores, mean ± deviation (standard error), beside the paper's, mean ± deviation."""
    head = ["temperature", "dream", "game", "median", "paper: dream", "paper: game"]
    rows = []
    for temperature in args.temperatures:
        found = results[f"tau-{temperature:g}"]
        cells = [variants.cell(found[world]) for world in ("doomrnn", "doomreal")]
        cells.append(f"{found['doomreal']['median']:.0f}")
        rows.append([f"{temperature:g}", *cells, *PAPER.get(temperature, ("", ""))])
    median = f"{random['median']:.0f}"
    rows.append(["random player", "", variants.cell(random), median, "", RANDOM])
    return variants.write_table(args.output / "table.md", head, rows)


def episode(world, decode, controllers, seed: int, limit: int) -> list[np.ndarray]:
    """Frames uint8 (64, 64, 3) of one episode: the game's own, or V's drawing of a dream."""
    world.start([seed])
    row, done, frames = np.zeros(1, np.int64), False, []
    while not done and len(frames) < limit:
        frames.append(decode(world))
        done = world.step(controllers.act(world.observation, row))[1][0]
    world.keep(np.empty(0, np.int64))
    return frames


def draw_cheating(path: Path, args, temperature: float) -> None:
    """A strip of the agent of `temperature`: its dream above, the game below, same test seed."""
    # Here, because the trainings before are other processes, and these need TensorFlow.
    from agent import Controllers, RealWorld, WorldModel, make_world
    from world import Z

    log = args.output / f"tau-{temperature:g}" / "log"
    parameters = load_controller(next(log.glob("*.best.json")), Controllers.size("zch"))
    model, controllers = WorldModel.load(args.models), Controllers(parameters[None])
    dream, game = make_world("doomrnn", model, temperature), RealWorld(model)

    def draw(world):
        return pictures.to_uint8(model.vae.decode(world.observation[:, Z])[0])

    given = controllers, args.seed, args.max_length
    try:
        dreamed = episode(dream, draw, *given)
        real = episode(game, lambda world: world.frames[0], *given)
    finally:
        game.close()
    figure = Figure(figsize=(2 * MOMENTS, 5), layout="constrained")
    axes = figure.subplots(2, MOMENTS)
    names = f"dream, temperature {temperature:g}", "the same agent in the game"
    for line, frames, name in zip(axes, (dreamed, real), names, strict=True):
        chosen = np.linspace(0, len(frames) - 1, MOMENTS).astype(int)
        for axis, step in zip(line, chosen, strict=True):
            axis.imshow(frames[step], interpolation="nearest")
            axis.set(xticks=[], yticks=[], xlabel=f"step {step}")
        line[0].set_title(f"{name}: {len(frames)} steps", loc="left", fontsize=14)
    pictures.save_figure(path, figure)


def main(argv=None):
    args = parse(argv)
    seeds.test_seeds(args.seed, args.episodes)  # too many are found now, not after the trainings
    place = Place(Path(__file__).parents[1], args.output, args.generations, args.num_worker)
    rows = (make_variant(args, t, *train_first(args, place, t)) for t in args.temperatures)
    results = variants.run(rows, place)
    random = variants.score(place, random_arguments(args), args.output / "random.csv")
    print(table(args, results, variants.statistics(random)), end="")
    draw_cheating(args.output / "cheating.png", args, min(args.temperatures))


if __name__ == "__main__":
    cli.run(main)
