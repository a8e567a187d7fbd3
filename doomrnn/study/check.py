"""Say which stage is bad: V, M, the dream or the agent, with numbers and a picture each.

Reads whatever there is of record/, tf_vae/, series/, tf_rnn/ and log/, and the shipped weights in
tf_models/ where nothing has been trained here. Writes check/{record,V,M,dream,C}.png and
check/check.json. It plays new episodes, with seeds that nothing else uses. So all numbers are of
frames that no training has seen.

  python -m study.check                     2 minutes on 2 cores
  python -m study.check --episodes 400      with half the error

The exit status is 0 where all is good and 1 where a stage is poor. The last line names the one to
mend first, for what is built on a poor stage cannot be good. A number is poor where it lies beyond
its gate by more than two standard errors.
"""

from kit.command import cli

cli.begin(__name__)

import sys
from pathlib import Path

from kit.command import memory, progress, seeds
from kit.command.errors import UserError
from kit.files.weights import load_controller, load_initial_z
from kit.judge.candidates import Candidates, first_file
from kit.judge.verdict import Report, Stage
from kit.tensors import precision

from agent import Controllers, WorldModel
from rnn import MDNRNN
from study import judges, measures
from vae import VAE
from world import INPUTS, MODELS, NAME, TEMPERATURE, Z_SIZE

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


def candidates(args) -> Candidates:
    """The V, M and C to judge."""
    return Candidates(args, args.models / "vae.json", args.models / "rnn.json", NAME)


def judge_agent(args, files: Candidates, lengths) -> list[Stage]:
    """The dream and C."""
    own = Path("tf_initial_z/initial_z.json") if files.own_rnn else None
    initial_z = first_file(own, args.models / "initial_z.json")
    if initial_z is None:
        raise UserError(f"{args.models / 'initial_z.json'}: expected first latents, found nothing")
    first = load_initial_z(initial_z, Z_SIZE)
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
    files, report = candidates(args), Report(args.output)
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
    precision.use_threads()
    sys.exit(judge(args).finish())


if __name__ == "__main__":
    cli.run(main)
