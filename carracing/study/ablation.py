"""Is M needed, and what is each lever worth? A table of agents that differ in one thing.

Reads vae/, rnn/ and initial_z/. Evolves each agent on the real track with one V and one budget, in
ablation/<name>/, and scores it on stock gymnasium and test seeds. An untrained M has random
weights: its h remembers the past, but expects nothing. Writes ablation/table.md and results.json.

  python -m study.ablation --preset laptop   four agents, 100 generations of 64 x 4 tracks each
  python -m study.ablation --rows z zh       only these
  python -m study.ablation --rows zh zh-own-tracks zh-whole-episodes zh-sampled

Started again it goes on where it stopped.
"""

from kit.command import cli

cli.begin(__name__)

from dataclasses import dataclass
from pathlib import Path

from estool.study import variants
from estool.study.variants import CONTROLLER, Place, Variant
from kit.command import seeds

from world import MAX_STEPS, MODELS


@dataclass(frozen=True)
class Row:
    """An agent of the table."""

    label: str
    inputs: str
    trained: bool = True  # M
    paper: str = ""  # its score there
    flags: tuple[str, ...] = ()  # of train.py alone
    shared: tuple[str, ...] = ()  # of train.py and model.py


ROWS = {
    "z": Row("z", "z", paper="632 ± 251"),
    "z_hidden": Row("z, C with a hidden layer", "z_hidden", paper="788 ± 141"),
    "zh": Row("z, h", "zh", paper="906 ± 21"),
    "zh-untrained": Row("z, h of an untrained M", "zh", trained=False),
    "zch": Row("z, c, h", "zch"),
    "zh-own-tracks": Row(
        "z, h; each candidate its own tracks", "zh", flags=("--common_seeds", "0")
    ),
    "zh-whole-episodes": Row("z, h; no rollout cut short", "zh", flags=("--patience", "0")),
    "zh-sampled": Row("a sample of z, h", "zh", shared=("--z", "sample")),
}
DEFAULT = ["z", "z_hidden", "zh", "zh-untrained"]
UNTRAINED_SEED = 1
FILES = ("vae/vae.json", "rnn/rnn.json", "initial_z/initial_z.json")
PRESETS = {
    "smoke": {"rows": ["z", "zh-untrained"], "generations": 2, "population": 4, "eval_steps": 1}
    | {"num_episode": 2, "eval_episodes": 2, "episodes": 2, "max_length": 40},
    "laptop": {},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    sizes = {
        "generations": 100,
        "population": 64,
        "num_episode": 4,
        "eval_steps": 25,
        "episodes": 100,
    }
    folders = {"models": MODELS, "output": Path("ablation"), "max_length": MAX_STEPS}
    variants.add_arguments(parser, **sizes, **folders)
    add = parser.add_argument
    add("--rows", choices=ROWS, nargs="+", default=DEFAULT, help="which agents")
    add("--eval_episodes", type=cli.positive_int, default=32, help="tracks that choose it, fast")
    text = "end training rollouts without a new tile for so many steps; 0: never"
    add("--patience", type=cli.non_negative_int, default=100, help=text)
    return variants.check_arguments(parser, cli.parse(parser, PRESETS, argv))


def make_untrained(models: Path, folder: Path) -> Path:
    """A folder like `models` with its V and first latents, and an M of random weights."""
    from rnn import MDNRNN  # here, because the trainings are other processes

    variants.copy_models(models, folder, (FILES[0], FILES[2]))
    MDNRNN(seed=UNTRAINED_SEED).save(folder / FILES[1])
    return folder


def make_variants(args) -> list[Variant]:
    """A training a row, scored on stock."""
    names = ("population", "num_episode", "eval_steps", "eval_episodes", "seed_start", "patience")
    train = [word for name in names for word in (f"--{name}", str(getattr(args, name)))]
    train += ["--eval_renderer", "fast"]
    untrained, result = None, []
    for name in args.rows:
        row, models = ROWS[name], args.models
        if not row.trained:
            untrained = untrained or make_untrained(args.models, args.output / "untrained")
            models = untrained
        shared = ["--inputs", row.inputs, "--models", str(models)]
        shared += ["--max_length", str(args.max_length), *row.shared]
        play = ["norender", CONTROLLER, str(args.seed), "--episodes", str(args.episodes)]
        files = [models / file for file in FILES[:2]]
        training = [*train, *shared, *row.flags]
        result.append(Variant(name, training, {"stock": [*play, *shared]}, files))
    return result


def table(args, results: dict) -> str:
    """A row an agent: score on stock, mean ± deviation (standard error), its budget, the paper."""
    head = ["C sees", "parameters", "stock", "median", "generations", "steps", "hours", "paper"]
    rows = []
    for name in args.rows:
        found, training = results[name]["stock"], results[name]["training"]
        cells = [variants.cell(found), f"{found['median']:.0f}", f"{training['generations']}"]
        cells += [f"{training['steps'] / 1e6:.1f} M", f"{training['hours']:.1f}"]
        rows.append([ROWS[name].label, str(training["parameters"]), *cells, ROWS[name].paper])
    return variants.write_table(args.output / "table.md", head, rows)


def main(argv=None):
    args = parse(argv)
    seeds.test_seeds(args.seed, args.episodes)  # too many are found now, not after the trainings
    place = Place(Path(__file__).parents[1], args.output, args.generations, args.num_worker)
    print(table(args, variants.run(make_variants(args), place)), end="")


if __name__ == "__main__":
    cli.run(main)
