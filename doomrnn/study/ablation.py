"""Is M needed? Agents that see z, h or c, with a trained and an untrained M, in the real game.

Reads tf_models/. Evolves each agent in the real game, not in the dream, with one V and one budget,
in ablation/<name>/, and scores it on test seeds. An untrained M has random weights: its h remembers
the past, but expects nothing. Writes ablation/table.md and results.json.

  python -m study.ablation --preset laptop          six agents, 24 generations of 64 games each
  python -m study.ablation --rows z zch             only these

Started again it goes on where it stopped.
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

from estool.study import variants
from estool.study.variants import CONTROLLER, Place, Variant
from kit.command import seeds

from world import MAX_STEPS, MODELS

FILES = ("vae.json", "rnn.json", "initial_z.json")
ROWS = {  # name: what C sees, whether M is trained, in words
    "z": ("z", True, "z"),
    "z_hidden": ("z_hidden", True, "z, C with a hidden layer"),
    "zh": ("zh", True, "z, h"),
    "zch": ("zch", True, "z, c, h"),
    "zh-untrained": ("zh", False, "z, h of an untrained M"),
    "zch-untrained": ("zch", False, "z, c, h of an untrained M"),
}
UNTRAINED_SEED = 1
SEARCH = ("population", "num_episode", "sigma_init", "average", "eval_steps", "eval_episodes")
SEARCH += ("seed_start",)
PRESETS = {
    "smoke": {"rows": ["z", "zch-untrained"], "generations": 2, "population": 4}
    | {"components": 0, "average": 1, "eval_steps": 1, "num_episode": 2, "eval_episodes": 2}
    | {"episodes": 4, "max_length": 40},
    "laptop": {},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    sizes = {
        "generations": 24,
        "population": 64,
        "num_episode": 1,
        "eval_steps": 12,
        "episodes": 300,
    }
    folders = {"models": MODELS, "output": Path("ablation"), "max_length": MAX_STEPS}
    variants.add_arguments(parser, **sizes, **folders)
    add = parser.add_argument
    add("--rows", choices=ROWS, nargs="+", default=list(ROWS), help="which agents")
    text = "principal components that a linear agent is searched along, 0: all weights"
    add("--components", type=cli.non_negative_int, default=32, help=text)
    add("--sigma_init", type=cli.positive_float, default=0.2, help="step size at the start")
    text = "generations whose means are averaged into an agent"
    add("--average", type=cli.positive_int, default=5, help=text)
    add("--eval_episodes", type=cli.positive_int, default=100, help="games that choose it")
    return variants.check_arguments(parser, cli.parse(parser, PRESETS, argv))


def make_untrained(models: Path, folder: Path) -> Path:
    """A folder like `models` with its V and first latents, and an M of random weights."""
    from rnn import MDNRNN  # here, because the trainings are other processes

    variants.copy_models(models, folder, (FILES[0], FILES[2]))
    MDNRNN(seed=UNTRAINED_SEED).save(folder / FILES[1])
    return folder


def make_variants(args) -> list[Variant]:
    """A training a row, scored in the game."""
    train = [word for name in SEARCH for word in (f"--{name}", str(getattr(args, name)))]
    train += ["--world", "doomreal", "--eval_world", "doomreal"]
    untrained, result = None, []
    for name in args.rows:
        inputs, trained, _ = ROWS[name]
        models = args.models
        if not trained:
            untrained = untrained or make_untrained(args.models, args.output / "untrained")
            models = untrained
        components = 0 if inputs == "z_hidden" else args.components  # a linear agent has them
        along = ["--components", str(components)]
        shared = ["--inputs", inputs, "--models", str(models)]
        shared += ["--max_length", str(args.max_length)]
        play = ["norender", CONTROLLER, str(args.seed), "--episodes", str(args.episodes)]
        files = [models / file for file in FILES[:2]]
        scores = {"doomreal": ["doomreal", *play, *shared]}
        result.append(Variant(name, [*train, *along, *shared], scores, files))
    return result


def table(args, results: dict) -> str:
    """A row an agent: its score in the game, mean ± deviation (standard error), and its budget."""
    head = ["C sees", "parameters", "game", "median", "generations", "steps", "hours"]
    rows = []
    for name in args.rows:
        found, training = results[name]["doomreal"], results[name]["training"]
        cells = [variants.cell(found), f"{found['median']:.0f}", f"{training['generations']}"]
        cells += [f"{training['steps'] / 1e6:.1f} M", f"{training['hours']:.2f}"]
        rows.append([ROWS[name][2], str(training["parameters"]), *cells])
    return variants.write_table(args.output / "table.md", head, rows)


def main(argv=None):
    args = parse(argv)
    seeds.test_seeds(args.seed, args.episodes)  # too many are found now, not after the trainings
    place = Place(Path(__file__).parents[1], args.output, args.generations, args.num_worker)
    print(table(args, variants.run(make_variants(args), place)), end="")


if __name__ == "__main__":
    cli.run(main)
