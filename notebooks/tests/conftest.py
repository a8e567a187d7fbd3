"""Jupyter keeps its files out of the home."""

import pytest


@pytest.fixture(autouse=True)
def jupyter_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
