"""Watch the agent in M's dream, drawn by V.

  python dream_model.py log/carracing.cma.16.64.best.json [seed]
  python dream_model.py log/carracing.cma.16.64.best.json --video dream.mp4

Reads vae/vae.json, rnn/rnn.json, initial_z/initial_z.json and the controller; without a controller
all is random. One episode of 1000 steps in a window, or into --video out.mp4 or --gif out.gif. The
key M shows what M expected of each frame beside what came. It starts in ten seconds.
"""

from kit.command import cli

cli.begin(__name__)

from pathlib import Path

from kit.show import viewer
from kit.tensors import precision

import watch
from agent import Controllers, load_agent
from world import INPUTS, MAX_STEPS, MODELS, SEES, TEMPERATURE


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("controller", nargs="?", type=cli.existing_file, help="json; without it all is random")
    add("seed", nargs="?", type=cli.non_negative_int, default=0, help="of the episode")
    add("--inputs", choices=INPUTS, default=SEES, help="what the controller sees")
    add("--temperature", type=cli.positive_float, default=TEMPERATURE, help="of the dream")
    add("--models", type=Path, default=MODELS, help="folder of V, M and first latents")
    add("--max_length", type=cli.positive_int, default=MAX_STEPS, help="steps of the dream")
    viewer.add_arguments(parser)
    return viewer.check_screen(cli.parse(parser, argv=argv))


def main(argv=None):
    args = parse(argv)
    precision.use_threads()
    model, parameters = load_agent(args)
    watch.run_dream(args, model, Controllers(parameters[None], args.inputs))


if __name__ == "__main__":
    cli.run(main)
