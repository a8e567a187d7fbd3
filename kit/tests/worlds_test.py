"""Folders of results: whose they are, and what installing them replaces."""

import json

import pytest

from kit.command.errors import UserError
from kit.files import install, worlds


def test_a_folder_of_another_world_is_refused_and_one_without_a_name_is_not(tmp_path):
    worlds.check(tmp_path / "rnn.json", "doomrnn")  # as the reference's folders are
    worlds.claim(tmp_path, "doomrnn")
    worlds.claim(tmp_path, "doomrnn")
    assert json.loads((tmp_path / "world.json").read_text()) == {"world": "doomrnn"}
    said = "belongs to the world 'doomrnn', and this one is 'lander'"
    with pytest.raises(UserError, match=said):
        worlds.check(tmp_path / "rnn.json", "lander")
    with pytest.raises(UserError, match=said):
        worlds.claim(tmp_path, "lander")


def test_a_name_that_is_none_is_refused(tmp_path):
    (tmp_path / "world.json").write_text("[1]")
    with pytest.raises(UserError, match="belongs to the world None"):
        worlds.check(tmp_path / "rnn.json", "lander")


def test_installing_brings_the_worlds_name_and_keeps_what_it_replaces(tmp_path, capsys):
    made, used = tmp_path / "tf_vae", tmp_path / "tf_models"
    worlds.claim(made, "doomrnn")
    (made / "vae.json").write_text("new")
    install.main([str(made / "vae.json"), "--to", str(used)])
    assert (used / "vae.json").read_text() == "new" and capsys.readouterr().out == ""
    worlds.check(used / "vae.json", "doomrnn")
    (made / "vae.json").write_text("newer")
    install.main([str(made / "vae.json"), "--to", str(used)])
    assert (used / "vae.json").read_text() == "newer"
    assert (used / "previous-1" / "vae.json").read_text() == "new"
    assert "vae.json is replaced; the earlier one is kept in" in capsys.readouterr().out


def test_installing_with_keep_leaves_what_is_there(tmp_path, capsys):
    made, used = tmp_path / "vae.json", tmp_path / "tf_models"
    made.write_text("smoke")
    used.mkdir()
    (used / "vae.json").write_text("shipped")
    install.main([str(made), "--to", str(used), "--keep"])
    assert [path.name for path in used.iterdir()] == ["vae.json"]
    assert (used / "vae.json").read_text() == "shipped"
    assert "vae.json is left as it is" in capsys.readouterr().out
