"""Another learner in the dream: PPO of stable-baselines3, and its agent as a controller's json.

  pip install -r ../requirements-sb3.txt             once
  python -m study.ppo --output ppo.json --steps 200000
  python model.py doomreal norender ppo.json

Reads tf_models/. 64 dreams run in one batch. The policy is linear and without bias, as C is, so
that what it has learned is 1088 weights in C's file. An example for users of that library, not a
way to the score: evolution's agents are better by far. Prints the mean length of the last dreams.
"""

from kit.command import cli

cli.begin(__name__)

from kit.batches.sb3 import VecEnv  # first: it cannot be loaded after TensorFlow

# isort: split
from pathlib import Path

import gymnasium
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from kit.command.errors import UserError
from kit.files.weights import save_controller

from agent import Controllers
from world import MODELS, SEES, TEMPERATURE

THIRD = np.arctanh(1 / 3)  # C's tanh is cut at a third, PPO's mean is cut there as it is


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("--steps", type=cli.positive_int, default=200_000, help="of all dreams together")
    add("--envs", type=cli.positive_int, default=64, help="dreams at once")
    add("--temperature", type=cli.positive_float, default=TEMPERATURE, help="of the dreams")
    add("--models", type=Path, default=MODELS, help="folder of V, M and first latents")
    add("--seed", type=cli.non_negative_int, default=0, help="of PPO and the dreams")
    add("--output", type=cli.file_in(".json"), required=True, help="the controller")
    return cli.parse(parser, argv=argv)


def learn(args):
    """A trained PPO with a linear policy of no bias."""
    env = gymnasium.make_vec(
        "doomrnn:DoomDream-v0",
        args.envs,
        models=args.models,
        temperature=args.temperature,
        autoreset_mode="SameStep",
    )
    model = PPO(
        "MlpPolicy",
        VecMonitor(VecEnv(env)),
        n_steps=256,
        batch_size=1024,
        learning_rate=1e-3,
        policy_kwargs={"net_arch": {"pi": [], "vf": [64]}},
        seed=args.seed,
        device="cpu",
        verbose=1,
    )
    bias = model.policy.action_net.bias
    bias.data.zero_()
    bias.requires_grad_(False)
    return model.learn(args.steps)


def controller(model) -> np.ndarray:
    """The policy's mean action as C's parameters float64 (1088,)."""
    weights = model.policy.action_net.weight.detach().numpy().astype(np.float64)
    return weights.reshape(-1) * 3 * THIRD


def main(argv=None):
    args = parse(argv)
    model = learn(args)
    parameters = controller(model)
    if parameters.size != Controllers.size(SEES):
        raise UserError(f"{args.models}: expected latents and cells of {Controllers.size(SEES)}")
    save_controller(args.output, parameters)
    lengths = [episode["l"] for episode in model.ep_info_buffer]
    print(f"{args.output}: {len(lengths)} last dreams, mean length {np.mean(lengths):.1f}")


if __name__ == "__main__":
    cli.run(main)
