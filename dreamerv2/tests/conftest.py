"""What tests of runs and tests of agents share."""

import pytest

import dreamerv2.api as dv2

from tiny import TINY, make_grid


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A finished run on MiniGrid, by the API with a function that makes environments."""
    folder = tmp_path_factory.mktemp("run")
    config = TINY.update({"logdir": str(folder), "steps": 200, "task": "minigrid_Empty-5x5"})
    dv2.train(make_grid, config)
    return folder
