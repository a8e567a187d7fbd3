"""When something is due, in steps that may come several at a time."""


class Every:
    """How often something is due that happens every `every` steps; never, where that is 0."""

    def __init__(self, every: int, start: int):
        self._every, self._last = every, start

    def due(self, step: int) -> int:
        """How often it became due since the last call."""
        if not self._every:
            return 0
        times = (step - self._last) // self._every
        self._last += times * self._every
        return times
