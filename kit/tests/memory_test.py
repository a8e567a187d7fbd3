"""Memory: what is asked for beside what there is."""

import pytest

from kit.command import memory
from kit.command.errors import UserError


def test_memory_is_refused_with_both_numbers():
    free = memory.available()
    memory.require(0.5 * free, "half of it", "--batch")
    with pytest.raises(UserError, match=r"it all needs about [\d.e+]+ GB of memory, and [\d.]+ GB"):
        memory.require(2 * free, "it all", "--batch")
