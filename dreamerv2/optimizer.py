"""Gradient steps as the original's: clipped by the norm of all, with weight decay (tfutils.py)."""

from collections.abc import Mapping

import numpy as np

from dreamerv2.networks import Parameters
from kit.command.errors import UserError
from kit.tensors.tf import tf

OPTIMIZERS = ("adam", "adamax", "momentum", "sgd")
BETA1, BETA2, MOMENTUM = 0.9, 0.999, 0.9


class Optimizer:
    """Trains `parameters`.

    config: opt, lr, eps, clip (0 is none), wd: each step takes this share of every variable away.
    """

    def __init__(self, name: str, parameters: Parameters, config: Mapping):
        self._name, self._config = name, config
        if config["opt"] not in OPTIMIZERS:
            expected = ", ".join(OPTIMIZERS)
            raise UserError(
                f"--{name}_opt.opt: expected one of {expected}, found {config['opt']!r}"
            )
        self._variables = parameters.variables
        kept = {"adam": ("first", "second"), "adamax": ("first", "second"), "sgd": ()}
        self._moments = {
            variable: {
                part: tf.Variable(tf.zeros_like(value))
                for part in kept.get(config["opt"], ("first",))
            }
            for variable, value in self._variables.items()
        }
        self._steps = tf.Variable(0, dtype=tf.int64)

    @property
    def trained(self) -> list[tf.Variable]:
        return list(self._variables.values())

    def state(self) -> dict[str, tf.Variable]:
        """Everything that the next step needs beside the variables themselves."""
        moments = {
            f"{variable}/{part}": value
            for variable, parts in self._moments.items()
            for part, value in parts.items()
        }
        return {"steps": self._steps, **moments}

    def step(self, tape: tf.GradientTape, loss: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step down the gradient of `loss`; returns loss and norm of the gradient."""
        gradients = tape.gradient(
            loss, self.trained, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        norm = tf.linalg.global_norm(gradients)
        clip, decay = self._config["clip"], self._config["wd"]
        scale = clip / tf.maximum(norm, clip) if clip else tf.constant(1.0)
        self._steps.assign_add(1)
        taken = tf.cast(self._steps, tf.float32)
        powers = tf.pow(np.float32(BETA1), taken), tf.pow(np.float32(BETA2), taken)
        for (name, variable), gradient in zip(self._variables.items(), gradients, strict=True):
            if decay:
                variable.assign((1 - decay) * variable)
            self._apply(name, variable, gradient * scale, powers)
        return {f"{self._name}_loss": loss, f"{self._name}_grad_norm": norm}

    def _apply(self, name: str, variable: tf.Variable, gradient: tf.Tensor, powers) -> None:
        rate, kind, parts = self._config["lr"], self._config["opt"], self._moments[name]
        if kind == "sgd":
            variable.assign_sub(rate * gradient)
        elif kind == "momentum":
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle,
                accum=parts["first"].handle,
                lr=rate,
                grad=gradient,
                momentum=MOMENTUM,
            )
        else:
            adam = kind == "adam"
            apply = tf.raw_ops.ResourceApplyAdam if adam else tf.raw_ops.ResourceApplyAdaMax
            apply(
                var=variable.handle,
                m=parts["first"].handle,
                v=parts["second"].handle,
                beta1_power=powers[0],
                **({"beta2_power": powers[1]} if adam else {}),
                lr=rate,
                beta1=BETA1,
                beta2=BETA2,
                epsilon=self._config["eps"],
                grad=gradient,
            )
