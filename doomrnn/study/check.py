"""Say which stage is bad: V, M, the dream or the agent, with numbers and a picture each.

Reads whatever there is of record/, tf_vae/, series/, tf_rnn/ and log/, and the shipped weights in
tf_models/ where nothing has been trained here. Writes check/{record,V,M,dream,C}.png and
check/check.json. It plays episodes of its own, with seeds that nothing else uses, so that all
numbers are of frames that no training has seen.

  python -m study.check                     2 minutes on 2 cores
  python -m study.check --episodes 400      with half the error

The exit status is 0 where all is good and 1 where a stage is poor. The last line names the one to
mend first, for what is built on a poor stage cannot be good. A number is poor where it lies beyond
its gate by more than two standard errors.
"""

from kit.command import cli

if __name__ == "__main__":
    cli.begin()

import sys
from pathlib import Path

from kit.command import memory, progress, seeds
from kit.command.errors import UserError
from kit.command.mpi import usable_cores
from kit.files.weights import load_controller, load_initial_z
from kit.judge.verdict import Report, Stage, first_file, same_file
from kit.tensors import precision

from agent import Controllers, WorldModel
from rnn import MDNRNN
from study import judges, measures
from vae import VAE
from world import INPUTS, MODELS, TEMPERATURE, Z_SIZE

MEAN_FRAMES = 300  # about, of an episode
PRESETS = {"smoke": {"episodes": 12, "agent_episodes": 4, "frames": 200}, "laptop": {}}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    add = parser.add_argument
    add("--episodes", type=cli.positive_int, default=100, help="of the recorded player")
    add("--agent_episodes", type=cli.positive_int, default=40, help="of the agent in the game")
    add("--frames", type=cli.positive_int, default=2000, help="frames that V is judged on")
    add("--temperature", type=cli.positive_float, default=TEMPERATURE, help="of the dream")
    add("--inputs", choices=INPUTS, default="zch", help="what the controller sees")
    add("--record", type=Path, default=Path("record"), help="folder of the recordings")
    add("--series", type=Path, default=Path("series/series.npz"), help="encoded episodes")
    add("--vae", type=cli.existing_file, help="V (default: tf_vae/vae.json, else the shipped one)")
    add("--rnn", type=cli.existing_file, help="M (default: tf_rnn/rnn.json, else the shipped one)")
    add("--controller", type=cli.existing_file, help="C (default: the newest log/*.best.json)")
    add("--models", type=Path, default=MODELS, help="folder of the shipped weights")
    add("--output", type=Path, default=Path("check"), help="folder of the pictures")
    args = cli.parse(parser, PRESETS, argv)
    seeds.check_seeds(0, max(args.episodes, args.agent_episodes))  # too many are found now
    frames = 2 * MEAN_FRAMES * args.episodes  # in a list, and as one array
    memory.require(frames * 64 * 64 * 3, f"frames of {args.episodes} episodes", "--episodes")
    return args


class Files:
    """Which V, M and C are judged: those named, else those trained here, else the shipped ones."""

    def __init__(self, args):
        shipped_vae, shipped_rnn = args.models / "vae.json", args.models / "rnn.json"
        self.vae = args.vae or first_file(Path("tf_vae/vae.json"), shipped_vae)
        if self.vae is None:
            raise UserError(f"{shipped_vae} and tf_vae/vae.json: expected one of them, found none")
        own_vae = not same_file(self.vae, shipped_vae)
        # the shipped M speaks of the shipped V's latents and of no other's
        self.rnn = args.rnn or first_file(Path("tf_rnn/rnn.json"), None if own_vae else shipped_rnn)
        own_rnn = own_vae or not same_file(self.rnn, shipped_rnn)
        both = shipped_vae.is_file() and shipped_rnn.is_file()
        self.shipped_vae = shipped_vae if own_vae and both else None
        self.shipped = (shipped_rnn, shipped_vae) if own_rnn and both else None
        shipped_z = args.models / "initial_z.json"
        own_z = Path("tf_initial_z/initial_z.json")
        self.initial_z = first_file(own_z if own_rnn else None, shipped_z)
        agents = sorted(Path("log").glob("doomrnn.*.best.json"), key=lambda p: p.stat().st_mtime)
        # train.py evolves in the dream of --models: its agents belong to no other V and M
        self.controller = args.controller or (agents[-1] if agents and not own_rnn else None)


def judge_agent(args, files: Files, lengths) -> list[Stage]:
    """The dream and C."""
    if files.initial_z is None:
        raise UserError(f"{args.models / 'initial_z.json'}: expected first latents, found nothing")
    first = load_initial_z(files.initial_z, Z_SIZE)
    model = WorldModel(VAE(Z_SIZE).load(files.vae), MDNRNN().load(files.rnn), first)
    agent = None
    if files.controller:
        parameters = load_controller(files.controller, Controllers.size(args.inputs))
        rows = parameters[None].repeat(4 * args.agent_episodes, axis=0)
        agent = judges.Agent(files.controller, Controllers(rows, args.inputs), args.agent_episodes)
    stages = judges.judge_dream(model, args.temperature, lengths, agent, args.output)
    if agent is None:
        text = f"no agent of this V and M: copy them into {args.models}/ and run train.py"
        stages.append(Stage("C", [], text=text))
    return stages


def judge(args) -> Report:
    """Judge every stage that is there; prints as it goes."""
    files, report = Files(args), Report(args.output)
    with progress.bar(args.episodes, "episodes", "playing") as bar:
        fresh = measures.record(args.episodes, bar.update)
    report.add(judges.judge_record(args.record, fresh, args.output))
    report.add(judges.judge_vae(files.vae, files.shipped_vae, fresh, args.frames, args.output))
    report.add(judges.judge_series(args.series, args.record, VAE(Z_SIZE).load(files.vae)))
    if files.rnn is None:
        report.add(Stage("M", [], text="none of this V yet: python series.py, python rnn_train.py"))
        return report
    report.add(judges.judge_rnn(files.rnn, files.vae, files.shipped, fresh, args.output))
    for stage in judge_agent(args, files, fresh.lengths):
        report.add(stage)
    return report


def main(argv=None):
    args = parse(argv)
    precision.use_threads(usable_cores())
    sys.exit(judge(args).finish())


if __name__ == "__main__":
    cli.run(main)
