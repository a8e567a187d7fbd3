"""The shipped agent was evolved with the shipped V and M, and other weights are noticed."""

import shutil
from pathlib import Path

from kit.files import pairing

import model
from agent import load_agent, weight_files
from world import MODELS

ROOM = Path(__file__).parents[1]
AGENT = ROOM / "log/doomrnn.cma.16.64.best.json"


def test_the_shipped_agent_belongs_to_the_shipped_weights():
    shipped = weight_files(ROOM / MODELS)
    assert pairing.KEY in pairing.settings_beside(AGENT).read_text()
    assert pairing.mismatch(AGENT, shipped) is None


def test_an_agent_on_other_weights_is_said_and_played(tmp_path, capsys):
    for path in (ROOM / MODELS).rglob("*.json"):
        if path.name in ("vae.json", "rnn.json", "initial_z.json"):
            copy = tmp_path / path.relative_to(ROOM / MODELS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    given = ["norender", str(AGENT), "--models", str(tmp_path)]
    args = model.parse(["doomreal", *given])
    load_agent(args)
    assert capsys.readouterr().err == ""
    with weight_files(tmp_path)["rnn"].open("a") as file:
        file.write(" ")  # the same numbers, in another file
    load_agent(args)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{AGENT} was evolved with other weights than {weight_files(tmp_path)['rnn']}" in said
