"""What a run goes on from: variables.npz, every variable of the agent and a few numbers."""

from pathlib import Path

from kit.command.errors import UserError
from kit.files import checkpoint

NAME = "variables.npz"


def save(logdir: Path, agent, **values) -> None:
    """Write the agent's variables and json-able `values`."""
    variables = agent.variables()
    names = sorted(variables)
    arrays = [variables[name].numpy() for name in names]
    checkpoint.save(logdir / NAME, arrays, names=names, **values)


def load(logdir: Path, agent) -> dict | None:
    """Give the agent its variables back; the values, or None where there is no checkpoint.

    Raises UserError where it is damaged or of another agent.
    """
    variables = agent.variables()
    names = sorted(variables)
    path = logdir / NAME
    loaded = checkpoint.load(path, [variables[name].shape for name in names])
    if loaded is None:
        return None
    arrays, values = loaded
    if values.pop("names", None) != names:
        raise UserError(f"{path} is a checkpoint of another agent; delete it, or name its flags")
    for name, array in zip(names, arrays, strict=True):
        variables[name].assign(array)
    return values
