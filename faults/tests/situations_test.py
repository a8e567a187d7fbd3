"""One of each situation that is quick to try, at a fixed seed."""

import numpy as np
import pytest

import situations

QUICK = ("no screen", "a small /dev/shm", "a reader that has seen enough", "closed streams")
QUICK += ("zsh", "an odd path and locale", "a broken environment")  # kit has tests of set-up


@pytest.mark.parametrize("name", QUICK)
def test_a_situation(tmp_path, name, monkeypatch):
    monkeypatch.setattr(situations, "WINDOWS", situations.WINDOWS[-1:])  # the one that loads least
    tried, faults = situations.KINDS[name](None, np.random.default_rng(0), tmp_path)
    assert faults == []
    if not tried:
        pytest.skip("not permitted here")
