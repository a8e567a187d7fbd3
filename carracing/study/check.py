"""Say which stage is bad: V, M, the dream or the agent, with numbers and a picture each.

Reads whatever there is of record/, tf_vae/, series/, tf_rnn/ and log/, and the shipped weights in
vae/, rnn/ and initial_z/ where nothing has been trained here. Writes
check/{record,V,M,dream,C}.png and check/check.json. It drives new episodes, with seeds that nothing
else uses. So all numbers are of frames that no training has seen.

  python -m study.check                        2 minutes on 2 cores, most of it on stock gymnasium
  python -m study.check --agent_episodes 32    half the error of the agent's score: 8 minutes

The exit status is 0 where all is good and 1 where a stage is poor. The last line names the one to
mend first, for what is built on a poor stage cannot be good. A number is poor where it lies beyond
its gate by more than two standard errors.
"""

from kit.command import cli

cli.begin(__name__)

import sys
from pathlib import Path

import numpy as np

from kit.command import memory, progress, seeds
from kit.command.errors import UserError
from kit.files.weights import load_controller
from kit.judge.candidates import Candidates
from kit.judge.verdict import Report, Stage
from kit.tensors import precision

from agent import Controllers, WorldModel
from rnn import MDNRNN
from study import judges, measures
from vae import VAE
from world import INPUTS, MODELS, NAME, TEMPERATURE, Z_SIZE

PRESETS = {
    "smoke": {"episodes": 2, "stock_episodes": 1, "length": 200, "frames": 60}
    | {"agent_episodes": 1},
    "laptop": {},
}


def parse(argv=None):
    parser = cli.parser(__doc__, PRESETS)
    add = parser.add_argument
    add("--episodes", type=cli.positive_int, default=20, help="of the recorded drivers, fast")
    add("--stock_episodes", type=cli.positive_int, default=4, help="the same, on stock")
    text = "frames of an episode of theirs; a third of it on stock"
    add("--length", type=cli.positive_int, default=600, help=text)
    add("--agent_episodes", type=cli.positive_int, default=8, help="tracks the agent drives")
    add("--frames", type=cli.positive_int, default=1000, help="frames that V is judged on")
    add("--temperature", type=cli.positive_float, default=TEMPERATURE, help="of the dream")
    add("--inputs", choices=INPUTS, default="zh", help="what the controller sees")
    add("--record", type=Path, default=Path("record"), help="folder of the recordings")
    add("--series", type=Path, default=Path("series/series.npz"), help="encoded episodes")
    add("--vae", type=cli.existing_file, help="V (default: tf_vae/vae.json, else the shipped one)")
    add("--rnn", type=cli.existing_file, help="M (default: tf_rnn/rnn.json, else the shipped one)")
    add("--controller", type=cli.existing_file, help="C (default: the newest log/*.best.json)")
    text = "folder of the shipped vae/, rnn/ and initial_z/"
    add("--models", type=Path, default=MODELS, help=text)
    add("--output", type=Path, default=Path("check"), help="folder of the pictures")
    args = cli.parse(parser, PRESETS, argv)
    least = measures.WARM_UP + 2 * measures.HORIZON
    if args.length < least:
        raise UserError(f"--length: expected at least {least} frames, found {args.length}")
    # too many are found now, not after hours
    seeds.check_seeds(0, max(args.episodes + args.stock_episodes, args.agent_episodes))
    frames = 2 * args.length * (args.episodes + args.stock_episodes)  # in a list, and as one array
    what = f"{args.episodes} + {args.stock_episodes} episodes of {args.length} frames"
    smaller = "--episodes, --stock_episodes or --length"
    memory.require(frames * 64 * 64 * 3, what, smaller)
    return args


def candidates(args) -> Candidates:
    """The V, M and C to judge."""
    return Candidates(
        args, args.models / "vae" / "vae.json", args.models / "rnn" / "rnn.json", NAME
    )


def make_agent(args, files: Candidates) -> judges.Agent | None:
    """The agent to drive; None without one, or without its M."""
    if files.controller is None or files.rnn is None:
        return None
    parameters = load_controller(files.controller, Controllers.size(args.inputs))
    rows = parameters[None].repeat(args.agent_episodes, axis=0)
    return judges.Agent(files.controller, Controllers(rows, args.inputs), args.agent_episodes)


def drive_fresh(args) -> judges.Fresh:
    """The recorded drivers on tracks of this command."""
    with progress.bar(args.episodes + args.stock_episodes, "episodes", "driving") as bar:
        fast = measures.record("fast", 0, args.episodes, args.length, bar.update)
        given = args.episodes, args.stock_episodes, args.length // 3
        return judges.Fresh(fast, measures.record("stock", *given, bar.update))


def judge(args) -> Report:
    """Judge every stage that is there; prints as it goes."""
    files, report = candidates(args), Report(args.output)
    agent, fresh = make_agent(args, files), drive_fresh(args)
    report.add(judges.judge_record(args.record, fresh, args.output))
    drives, driven = {}, None
    if agent:
        vae, rnn = VAE(Z_SIZE).load(files.vae), MDNRNN().load(files.rnn)
        zeros = np.zeros((1, Z_SIZE), np.float32)
        drives = judges.let_drive(WorldModel(vae, rnn, (zeros, zeros)), agent)
        driven = drives["fast"].frames
    given = fresh, args.frames, args.output, driven
    report.add(judges.judge_vae(files.vae, files.shipped_vae, *given))
    report.add(judges.judge_series(args.series, args.record, VAE(Z_SIZE).load(files.vae)))
    if files.rnn is None:
        report.add(Stage("M", [], text="none of this V yet: python series.py, python rnn_train.py"))
        return report
    seen, shipped = judges.encode(files.vae, fresh.fast), None
    if files.shipped:
        shipped = files.shipped[0], judges.encode(files.shipped[1], fresh.fast)
    report.add(judges.judge_rnn(files.rnn, seen, shipped, args.output))
    given = seen, args.temperature, args.output
    report.add(judges.judge_dream(files.rnn, files.vae, *given))
    if agent:
        report.add(judges.judge_agent(agent, drives, args.output))
    else:
        text = "no agent of this V and M: copy them into vae/, rnn/, initial_z/ and run train.py"
        report.add(Stage("C", [], text=text))
    return report


def main(argv=None):
    args = parse(argv)
    precision.use_threads()
    sys.exit(judge(args).finish())


if __name__ == "__main__":
    cli.run(main)
