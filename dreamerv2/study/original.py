"""The original DreamerV2, run in a separate process; parity.py and bench.py use it.

    python original.py FOLDER JOB.json

FOLDER is its unpacked folder dreamerv2/. The job names the settings, the spaces and files. Nothing
of this repository is imported here: the environment holds what the original needs and no more.

Patched, because today's TensorFlow forces it: `mixed_precision` has left `experimental` (nets.py),
and ruamel.yaml has no `safe_load`. Patched for a comparison of numbers: samples are made from
uniform numbers that the job gives, so that both sides see the same noise.
"""

import json
import os
import re
import sys
import types
from pathlib import Path

if __name__ == "__main__":  # before TensorFlow is loaded
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

TINY = 2.0**-24  # as in distributions.py


def load(folder: Path):
    """The original's modules `common` and `agent`, and its default settings."""
    import ruamel.yaml

    sys.path.insert(0, str(folder))
    moved = types.ModuleType("tensorflow.keras.mixed_precision.experimental")
    moved.global_policy = tf.keras.mixed_precision.global_policy
    sys.modules[moved.__name__] = moved
    source = (folder / "common/nets.py").read_text()
    old = "from tensorflow.keras.mixed_precision import experimental as prec"
    if old in source:
        new = "from tensorflow.keras import mixed_precision as prec"
        (folder / "common/nets.py").write_text(source.replace(old, new))
    import common

    import agent

    blocks = ruamel.yaml.YAML(typ="safe").load((folder / "configs.yaml").read_text())
    return common, agent, blocks["defaults"]


class Space:
    """As much of a gym space as the original looks at."""

    def __init__(self, shape, n=None):
        self.shape = tuple(shape)
        if n:
            self.n = n


def make_agent(common, agent, defaults, job):
    """The original's agent for the job's settings, spaces and action."""
    config = common.Config(defaults)
    known = set(config.flat)
    config = config.update({k: v for k, v in job["settings"].items() if k in known})
    observations = {key: Space(shape) for key, shape in job["observations"].items()}
    observations |= {k: Space(()) for k in ("reward", "is_first", "is_last", "is_terminal")}
    size = job["actions"]
    actions = {"action": Space((size,), size if job["discrete"] else None)}
    if job.get("bfloat16"):
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    return agent.Agent(config, observations, actions, common.Counter(0))


class Noise:
    """Gives out the arrays of a job in the order in which the original asks for samples."""

    def __init__(self, arrays):
        self._arrays = list(arrays)

    def next(self, shape):
        array = self._arrays.pop(0)
        assert array.shape == tuple(shape), (array.shape, shape)
        return tf.constant(array)

    def done(self):
        assert not self._arrays, f"{len(self._arrays)} arrays were never asked for"


def use_noise(common, noise):
    """Make every distribution sample from `noise` by the inverse of its cumulative distribution."""
    from tensorflow_probability import distributions as tfd

    def one_hot(self, sample_shape=(), seed=None):
        probabilities = tf.cast(self.probs_parameter(), tf.float32)
        cumulated = tf.cumsum(probabilities, -1)
        uniform = noise.next(probabilities.shape[:-1])
        passed = cumulated <= uniform[..., None] * cumulated[..., -1:]
        classes = tf.reduce_sum(tf.cast(passed, tf.int32), -1)
        sample = tf.one_hot(tf.minimum(classes, probabilities.shape[-1] - 1), passed.shape[-1])
        return sample + probabilities - tf.stop_gradient(probabilities)

    def normal(self, sample_shape=(), seed=None):
        uniform = noise.next(self.mean().shape)
        return self.mean() + self.stddev() * tf.math.ndtri(uniform + TINY)

    def truncated(self, n, seed=None):
        low, high = (self.low - self.loc) / self.scale, (self.high - self.loc) / self.scale
        below, above = (0.5 * tf.math.erfc(-x * np.sqrt(0.5)) for x in (low, high))
        uniform = noise.next(self.loc.shape)
        level = below + (above - below) * (uniform + TINY)
        inner = tf.math.ndtri(tf.clip_by_value(level, 1e-30, 1 - TINY))
        return (self.loc + self.scale * inner)[None]

    def one_hots(self, sample_shape=(), seed=None):
        return self.distribution.sample()  # Independent(OneHotDist): all S at once

    common.dists.OneHotDist.sample = one_hot
    tfd.MultivariateNormalDiag.sample = normal
    tfd.TruncatedNormal._sample_n = truncated
    plain = tfd.Independent.sample

    def independent(self, sample_shape=(), seed=None):
        if isinstance(self.distribution, common.dists.OneHotDist):
            return one_hots(self)
        return plain(self, sample_shape, seed)

    tfd.Independent.sample = independent


def variables(agent, discount):
    """Every variable of the agent under our names: name -> tf.Variable."""
    found = {}

    def layer(name, part):
        if hasattr(part, "_layer"):  # a NormLayer, or none
            if part._layer is None:
                return
            part = part._layer
        norm = hasattr(part, "gamma")
        names = ("scale", "offset") if norm else ("kernel", "bias")
        values = (part.gamma, part.beta) if norm else (part.kernel, part.bias)
        found.update({f"{name}/{k}": v for k, v in zip(names, values, strict=True)})

    def module(prefix, part):
        for name, inner in part._modules.items():
            name = re.sub(r"^(conv|dense)norm(\d+)$", r"\1\2_norm", name)
            name = re.sub(r"^norm(\d+)$", r"dense\1_norm", name)
            name = re.sub(r"^(img_out)_norm_(\d+)$", r"\1_\2_norm", name)
            if hasattr(inner, "_modules") and not hasattr(inner, "_layer"):  # a DistLayer
                for key, dense in inner._modules.items():
                    layer(f"{prefix}/{name if key == 'out' else key}", dense)
            else:
                layer(f"{prefix}/{name}", inner)

    model, behavior = agent.wm, agent._task_behavior
    module("model/encoder", model.encoder)
    module("model/rssm", model.rssm)
    layer("model/rssm/gru", model.rssm._cell._layer)
    layer("model/rssm/gru_norm", model.rssm._cell._norm)
    module("model/decoder", model.heads["decoder"])
    module("model/reward", model.heads["reward"])
    if discount:
        module("model/discount", model.heads["discount"])
    module("task/actor/actor", behavior.actor)
    module("task/critic/critic", behavior.critic)
    module("task/slow_critic/critic", behavior._target_critic)
    explorer = agent._expl_behavior
    if explorer is not behavior and hasattr(explorer, "ac"):
        module("expl/actor/actor", explorer.ac.actor)
        module("expl/critic/critic", explorer.ac.critic)
        module("expl/slow_critic/critic", explorer.ac._target_critic)
        networks = getattr(explorer, "_networks", None)
        for k, network in enumerate(networks or [explorer.head]):
            module(f"expl/network/model{k}" if networks else "expl/network/head", network)
    return found


def compare(common, agent, job):
    """One train step with the job's weights, batch and noise; writes metrics and variables."""
    tf.config.run_functions_eagerly(True)
    with np.load(job["input"]) as file:
        arrays = dict(file)
    batch = {k[6:]: tf.constant(v) for k, v in arrays.items() if k.startswith("batch/")}
    first = [arrays[f"noise/{i}"] for i in range(job["noises"])]
    noise = Noise(first)
    use_noise(common, noise)
    build(agent, batch, arrays, job, noise)
    named = variables(agent, agent.config.pred_discount)
    given = {k[9:] for k in arrays if k.startswith("variable/")}
    assert given == set(named), sorted(given ^ set(named))
    for name, variable in named.items():
        variable.assign(arrays[f"variable/{name}"])
    noise._arrays = list(first)
    _, metrics = agent.train(batch)
    noise.done()
    out = {f"metric/{k}": np.float64(v) for k, v in metrics.items()}
    out |= {f"variable/{k}": v.numpy() for k, v in named.items()}
    np.savez(job["output"], **out)


def build(agent, batch, arrays, job, noise):
    """Make every variable exist: the original makes them at their first use."""
    noise._arrays = list(noise._arrays)
    agent.wm.loss(batch)
    state = agent.wm.rssm.initial(2)
    features = agent.wm.rssm.get_feat(state)
    explorer = agent._expl_behavior
    behaviors = [agent._task_behavior, *([explorer.ac] if hasattr(explorer, "ac") else [])]
    for behavior in behaviors:
        for network in (behavior.actor, behavior.critic, behavior._target_critic):
            network(features)
    if hasattr(explorer, "_networks"):
        action = tf.zeros((2, job["actions"]))
        inputs = tf.concat([features, action], -1) if agent.config.disag_action_cond else features
        for network in explorer._networks:
            network(inputs)
    elif hasattr(explorer, "head"):
        explorer.head(features)


def serve(agent, job, answers):
    """A train step for each line of standard input; `answers` gets "done step"."""
    with np.load(job["input"]) as file:
        batch = {k[6:]: tf.constant(v) for k, v in file.items() if k.startswith("batch/")}
    state = None
    for line in sys.stdin:
        state, metrics = agent.train(batch, state)
        float(metrics["model_loss"])
        float(metrics["critic_loss"])
        print("done", line.strip(), file=answers, flush=True)


def count(agent, job, answers):
    """How many numbers the model, the actor and the critic have."""
    tf.config.run_functions_eagerly(True)
    with np.load(job["input"]) as file:
        batch = {k[6:]: tf.constant(v) for k, v in file.items() if k.startswith("batch/")}
    build(agent, batch, {}, job, Noise([]))
    parts = {"model": [agent.wm.encoder, agent.wm.rssm, *agent.wm.heads.values()]}
    parts |= {name: [getattr(agent._task_behavior, name)] for name in ("actor", "critic")}
    sizes = {
        name: int(sum(np.prod(v.shape) for module in modules for v in module.variables))
        for name, modules in parts.items()
    }
    print(json.dumps(sizes), file=answers)


def main(folder, path):
    job = json.loads(Path(path).read_text())
    if job.get("threads"):
        tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    common, agent, defaults = load(Path(folder))
    answers, sys.stdout = sys.stdout, sys.stderr  # the original prints while it builds
    made = make_agent(common, agent, defaults, job)
    if job["what"] == "compare":
        compare(common, made, job)
    elif job["what"] == "serve":
        serve(made, job, answers)
    else:
        count(made, job, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
