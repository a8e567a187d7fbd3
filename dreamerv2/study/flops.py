"""How many floating-point operations a train step has, counted from its matrices."""

import math


def train_step_flops(case, agent) -> float:
    """Two a multiplication: the world model forward and twice that backward, and imagination.

    For actors that learn by reinforce; with dynamics backpropagation it is a lower bound. One-hots
    count as if they were multiplied.
    """
    rows, horizon = case.batch["reward"].size, case.config.imag_horizon
    model = _products(agent.world_model.parameters.variables)
    actor = _products(agent.behavior.actor_parameters.variables)
    critic = _products(agent.behavior.critic_parameters.variables)
    dynamics = sum(v for k, v in model.items() if k.startswith("rssm/") and "obs_" not in k)
    heads = sum(v for k, v in model.items() if k.startswith(("reward", "discount")))
    learned = 3 * sum(model.values())
    imagined = dynamics + heads + 3 * sum(actor.values()) + 4 * sum(critic.values())
    return 2.0 * rows * (learned + horizon * imagined)


def _products(variables) -> dict[str, float]:
    """Multiplications that one row has with each kernel."""
    found, edge = {}, {"encoder": 64, "decoder": 1}
    for name, variable in variables.items():
        if not name.endswith("/kernel"):
            continue
        places, part = 1, name.split("/")[0]
        if len(variable.shape) == 4:
            side = variable.shape[0]
            if part == "encoder":
                edge[part] = (edge[part] - side) // 2 + 1
            places = edge[part] ** 2
            if part == "decoder":
                edge[part] = 2 * (edge[part] - 1) + side
        found[name] = places * math.prod(variable.shape)
    return found
