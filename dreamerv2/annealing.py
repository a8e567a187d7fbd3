"""Numbers that change with the step: "linear(1,0,1e6)" and its like (other.py schedule)."""

import re

from kit.command.errors import UserError
from kit.tensors.tf import tf

FORMS = {
    "linear": (3, "linear(first,last,steps)"),
    "warmup": (2, "warmup(steps,value)"),
    "exp": (3, "exp(first,last,half-life)"),
    "horizon": (3, "horizon(first,last,steps)"),
}


def anneal(value: float | str, step: tf.Tensor) -> tf.Tensor:
    """The value at `step`, float32 (); a number is itself.

    horizon(a,b,n) is the discount whose horizon goes from a to b in n steps. Raises UserError for
    text of another form.
    """
    if not isinstance(value, str):
        return tf.constant(value, tf.float32)
    name, numbers = _parse(value)
    step = tf.cast(step, tf.float32)
    if name == "warmup":
        return tf.clip_by_value(step / numbers[0], 0, 1) * numbers[1]
    first, last, steps = numbers
    if name == "exp":
        return (first - last) * 0.5 ** (step / steps) + last
    mix = tf.clip_by_value(step / steps, 0, 1)
    mixed = (1 - mix) * first + mix * last
    return mixed if name == "linear" else 1 - 1 / mixed


def _parse(text: str) -> tuple[str, list[float]]:
    found = re.fullmatch(r"(\w+)\((.*)\)", text.replace(" ", ""))
    try:
        name, words = found[1], found[2].split(",")
        numbers = [float(word) for word in words]
        if len(numbers) != FORMS[name][0]:
            raise ValueError
        return name, numbers
    except (TypeError, KeyError, ValueError):
        forms = ", ".join(form for _, form in FORMS.values())
        raise UserError(f"expected a number, {forms}, found {text!r}") from None
