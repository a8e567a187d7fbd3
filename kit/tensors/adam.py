"""Adam over TensorFlow variables with TensorFlow's fused kernel, which is faster than Keras'.

The moments are plain variables, so that a checkpoint holds everything that the next step needs.
"""

from collections.abc import Sequence

from kit.tensors.tf import tf


class Adam:
    """Adam (Kingma & Ba 2015), beta .9 and .999, epsilon 1e-8, the step size given at each step."""

    def __init__(self, variables: Sequence[tf.Variable]):
        self.variables = list(variables)
        self.first = [tf.Variable(tf.zeros_like(v)) for v in variables]
        self.second = [tf.Variable(tf.zeros_like(v)) for v in variables]
        self.powers = tf.Variable([1.0, 1.0])  # beta to the power of the steps made

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """One step, in a tf.function or outside."""
        self.powers.assign(self.powers * [0.9, 0.999])
        moments = zip(self.variables, self.first, self.second, gradients, strict=True)
        for variable, first, second, gradient in moments:
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=self.powers[0],
                beta2_power=self.powers[1],
                lr=learning_rate,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-8,
                grad=gradient,
            )

    def state(self) -> list[tf.Variable]:
        """Everything a checkpoint needs: the variables, both moments and the powers."""
        return [*self.variables, *self.first, *self.second, self.powers]
