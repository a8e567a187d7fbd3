"""What the commands say: information, which --quiet leaves out, debugging, and results.

An importable module, no command.
"""

import logging
import sys

LOG = logging.getLogger("anyenv")
RESULT = logging.INFO + 5  # what a command was started for: said with --quiet too

info, debug = LOG.info, LOG.debug


def result(text: str) -> None:
    LOG.log(RESULT, text)


def set_up(debug: bool, quiet: bool) -> None:
    """Say from now on what the flags ask for, on standard output, a line each."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOG.handlers, LOG.propagate = [handler], False
    LOG.setLevel(RESULT if quiet else logging.DEBUG if debug else logging.INFO)
