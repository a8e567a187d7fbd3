"""The one exception that a command turns into a sentence instead of a traceback."""


class UserError(Exception):
    """A mistake of the user or a bad file.

    The message is one sentence that names the file or flag, what was found and what was
    expected. `cli.run` prints it on standard error and exits with status 2.
    """

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, where IPython would show a traceback."""
        return [str(self)]
