"""What a setting may be: ranges of numbers, and names of which one has to be given."""

import math
import re

from kit.command.errors import UserError

MOST = 10**12  # of any number: beyond it sizes and steps are no longer whole numbers everywhere
# Keys (a pattern for the whole of one), the least and the most of each.
RANGES = (
    (r"envs", 1, 10_000),
    (r"action_repeat|imag_horizon|disag_models|disag_offset|rssm\.ensemble", 1, 1_000),
    (r"eval_eps|dataset\.(batch|length)", 1, 100_000),
    (r"render_size|.*\.cnn_depth", 1, 4_096),
    (r".*\.cnn_kernels", 1, 64),
    (r".*\.layers", 1, 100),
    (r".*\.(units|mlp_layers)|rssm\.(hidden|deter|stoch)", 1, 100_000),
    (r"rssm\.discrete", 0, 100_000),
    (r"log_every|train_every|slow_target_update", 1, MOST),
    (r"replay_gb|checkpoint_minutes", 1e-9, 1e9),
    (r"train_steps|pretrain", 0, 10**9),
    (r"threads", 0, 10_000),
    (r"discount|discount_lambda|kl\.balance|actor_grad_mix|slow_target_fraction", 0, 1),
    (r".*_norm\.momentum|.*_opt\.wd|.*_opt\.lr", 0, 1),
    (r"dmc_camera", -1, 1_000),
    (r"expl_(intr|extr)_scale", -MOST, MOST),
    (r".*", 0, MOST),
)
ACTIVATIONS = ("none", "elu", "relu", "selu", "silu", "swish", "gelu", "leaky_relu", "softplus")
ACTIVATIONS += ("tanh", "sigmoid", "mish")
CHOICES = (
    (r"envs_parallel", ("none", "thread", "process")),
    (r"precision", (16, 32)),
    (r"clip_rewards", ("identity", "sign", "tanh")),
    (r"expl_behavior", ("greedy", "Random", "Plan2Explore", "ModelLoss")),
    (r".*\.act", ACTIVATIONS),
    (r".*\.norm", ("none", "layer")),
)


def check(config) -> None:
    """UserError for a value that no run can have."""
    for key, value in config.flat.items():
        for one in value if isinstance(value, tuple) else (value,):
            _check_one(key, one)
    if not config.replay.minlen >= 1 or 0 < config.replay.maxlen < config.replay.minlen:
        raise UserError(
            "--replay.minlen: expected 1 to --replay.maxlen "
            f"({config.replay.maxlen}), found {config.replay.minlen}"
        )
    if len(config.render_size) != 2:
        raise UserError(f"--render_size: expected height and width, found {config.render_size}")


def _check_one(key: str, value) -> None:
    choices = next((found for pattern, found in CHOICES if re.fullmatch(pattern, key)), None)
    if choices and value not in choices:
        expected = ", ".join(map(str, choices))
        raise UserError(f"--{key}: expected one of {expected}, found {value!r}")
    if isinstance(value, bool | str):
        return
    least, most = next(rest for pattern, *rest in RANGES if re.fullmatch(pattern, key))
    if not (math.isfinite(value) and least <= value <= most):
        raise UserError(f"--{key}: {_expected(least, most)}, found {_short(value)}")


def _expected(least: float, most: float) -> str:
    if least == 1e-9:
        return "expected more than 0"
    return f"expected {least:,} to {most:,}" if most < MOST else f"expected at least {least:,}"


def _short(value: float) -> str:
    text = str(value)
    return text if len(text) < 30 else f"{text[:20]}... ({len(text)} digits)"
