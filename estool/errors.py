"""The one exception that a command turns into a sentence instead of a traceback."""


class UserError(Exception):
    """A mistake of the user or a bad file.

    The message is one sentence that names the file or flag, what was found and what was
    expected. `cli.run` prints it on standard error and exits with status 2.
    """
