"""JupyterLab opens the folder."""

import json
import os
import subprocess
import sys
import time
import urllib.request

from notebooks_test import NOTEBOOKS
from running import HERE


def test_jupyter_lab_starts_and_lists_the_notebooks(tmp_path):
    """The command of the README, on a free port and without a browser."""
    command = [sys.executable, "-m", "jupyter", "lab", str(HERE), "--no-browser", "--allow-root"]
    command += ["--ServerApp.port=0", "--IdentityProvider.token=", "--ServerApp.log_level=INFO"]
    environment = os.environ | {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            end = time.monotonic() + 60
            while not (found := list(tmp_path.glob("jpserver-*.json"))):
                assert server.poll() is None and time.monotonic() < end
                time.sleep(0.2)
            url = json.loads(found[0].read_text())["url"]
            contents = fetch(f"{url}api/contents", end)
            names = [entry["name"] for entry in json.loads(contents)["content"]]
            assert set(NOTEBOOKS) <= set(names)
            assert b"JupyterLab" in fetch(f"{url}lab", end)
        finally:
            server.terminate()


def fetch(url, end):
    """What a server that may still be starting answers, bytes."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return answer.read()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.2)
