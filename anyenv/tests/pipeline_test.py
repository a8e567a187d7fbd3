"""The seed's commands from recording to evaluation, on real CartPole pixels at smoke sizes."""

import json
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from kit.show import virtual_screen

import data
from show_dream import Keys
from smoke import CARTPOLE, ROOM, config_of, run, start
from world import actions_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which every stage has run once with --render, and what the commands said."""
    folder = tmp_path_factory.mktemp("trained")
    config_of(folder)
    stages = (
        ("record_data", "data/vae.hdf5", "-n", "8", "-c", "16", "--processes", "1"),
        ("train_vae", "data/vae.hdf5"),
        ("convert_data", "data/vae.hdf5", "data/mem.hdf5"),
        ("train_mem", "data/mem.npz"),
        ("train_ctrl",),
        ("eval", "-n", "2", "--processes", "1", "--csv", "scores.csv"),
    )
    said = {stage[0]: run(folder, "--render", *stage).stdout for stage in stages}
    return folder, said


def test_every_stage_leaves_its_files_and_pictures(trained):
    folder, said = trained
    names = ["ckpt/vision.ckpt", "ckpt/memory.ckpt", "ckpt/controller.ckpt", "ckpt/mind_best.ckpt"]
    names += ["ckpt/mind_mean.ckpt", "data/vae.png", "logs/vae_reconstructions.png"]
    names += ["logs/vae_loss.png", "logs/mem_dreams.png", "logs/train_vae.csv", "logs/ctrl.png"]
    names += [
        "logs/vae.settings.json",
        "logs/mem.settings.json",
        "logs/train_mem.csv",
        "logs/eval.gif",
        "scores.csv",
    ]
    assert [name for name in names if not (folder / name).is_file()] == []
    assert not (folder / "data/vae.hdf5.parts").exists()
    assert "config.json.dist gives general: state_shape [64, 64, 3]" in said["record_data"]
    assert "2 games, seed 0 average_reward" in said["eval"]
    assert "data/mem.hdf5 is taken" in said["train_mem"]


def test_the_file_is_laid_out_as_the_originals(trained):
    folder, _ = trained
    with h5py.File(folder / "data/vae.hdf5") as file:
        count = int(file.attrs["N_TRANSITIONS"])
        assert file.attrs["N_GAMES"] == 8 and file.attrs["CHUNK_SIZE"] == 16
        assert list(file.attrs["STATE_SHAPE"]) == [64, 64, 3] and file.attrs["ACTION_DIM"] == 1
        assert file["states"].shape == (count, 64, 64, 3) and file["states"].dtype == np.uint8
        assert file["states"].chunks == (16, 64, 64, 3) and file["states"].compression == "lzf"
        assert file["actions"].shape == (count, 1) and file["actions"].dtype == np.int64
        assert file["rewards"].shape == (count,) and file["rewards"].dtype == np.float32
        assert file["episodes"].shape == (9,) and file["episodes"][0] == 0
        assert file["episodes"][8] == count
        assert (file["rewards"][:] == 1).all() and file["terminated"][:].all()
        episodes = file["episodes"][:]
    with h5py.File(folder / "data/mem.hdf5") as file:
        assert file["states"].shape == (count, 2, 4) and file["states"].dtype == np.float32
        assert file.attrs["LATENT_DIM"] == 4 and list(file.attrs["STATE_SHAPE"]) == [2, 4]
        assert (file["episodes"][:] == episodes).all()


def test_the_latents_are_those_of_v(trained):
    from config import load
    from models import load_vision

    folder, _ = trained
    vae = load_vision(folder / "ckpt/vision.ckpt", load(folder / "config.json"))
    with h5py.File(folder / "data/vae.hdf5") as one, h5py.File(folder / "data/mem.hdf5") as other:
        mu, logvar = vae.encode(one["states"][3:9])
        np.testing.assert_allclose(other["states"][3:9, 0], mu, atol=1e-4)
        np.testing.assert_allclose(other["states"][3:9, 1], logvar, atol=1e-4)


def test_recording_again_tops_up_and_keeps_what_was_there(trained, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / "data", tmp_path / "data")
    config_of(tmp_path)
    path = tmp_path / "data/vae.hdf5"
    before = path.read_bytes()
    assert "8 games already" in run(tmp_path, "record_data", path, "-n", 8, "--processes", 1).stdout
    assert path.read_bytes() == before
    assert (
        start(tmp_path, "record_data", path, "-n", 10, "--processes", 2, "--agent", "held").wait(
            300
        )
        == 0
    )
    with h5py.File(folder / "data/vae.hdf5") as old, h5py.File(path) as new:
        count = int(old.attrs["N_TRANSITIONS"])
        assert new.attrs["N_GAMES"] == 10
        assert (new["states"][:count] == old["states"][:]).all()
        assert (new["episodes"][:9] == old["episodes"][:]).all()


def test_stages_that_are_done_say_so_and_change_nothing(trained):
    folder, _ = trained
    memory = (folder / "ckpt/memory.ckpt").read_bytes()
    said = run(folder, "convert_data", "data/vae.hdf5", "data/mem.hdf5").stdout
    assert "complete already" in said
    assert "going on from epoch 3" in run(folder, "train_mem", "data/mem.hdf5").stdout
    assert (folder / "ckpt/memory.ckpt").read_bytes() == memory
    assert "continuing after generation 2" in run(folder, "train_ctrl").stdout


def test_quiet_says_the_result_alone_and_the_seed_fixes_it(trained):
    folder, _ = trained
    once = run(folder, "--quiet", "eval", "-n", "3", "--processes", "1").stdout
    assert once.count("\n") == 1 and once.startswith("3 games, seed 0 average_reward")
    assert run(folder, "--quiet", "eval", "-n", "3", "--processes", "1").stdout == once


def test_c_learns_in_the_dream_and_the_dream_is_drawn(trained, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / "ckpt", tmp_path / "ckpt")
    config_of(tmp_path, es_training={"world": "dream"})
    assert (
        "made with world game, and now it is dream" in run(tmp_path, "train_ctrl", status=2).stderr
    )
    run(tmp_path, "train_ctrl", "--restart", "--init", "ckpt/mind_best.ckpt")
    run(tmp_path, "dream", "--episodes", "1", "--gif", "dream.gif")
    assert (tmp_path / "dream.gif").stat().st_size > 1000


@pytest.mark.skipif(virtual_screen.MISSING != "", reason=f"no {virtual_screen.MISSING}")
def test_a_person_plays_the_dream_in_a_window(trained):
    folder, _ = trained
    keys = "xdotool keydown Left; sleep .5; xdotool keyup Left; xdotool key plus; sleep .3; "
    keys += "xdotool key Escape"
    arguments = ["-c", "config.json", "dream", "--play", "--episodes", "1000", "--fps", "20"]
    (folder / "run.py").symlink_to(ROOM / "run.py")  # a window is found by the script's name
    done = virtual_screen.drive("run.py", arguments, keys, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dreams, mean return" in done.stdout and "windows left: 0" in done.stdout


@pytest.mark.parametrize(
    ("space", "held", "pressed", "action"),
    [
        (spaces.Discrete(2), {"right"}, (), [1]),
        (spaces.Discrete(5), (), {"3"}, [3]),
        (spaces.Discrete(5), (), {"9"}, [4]),
        (spaces.MultiBinary(3), {"1"}, (), [0, 1, 0]),
        (spaces.Box(-1, 1, (2,)), {"left", "up"}, (), np.tanh([-2, 2])),
    ],
    ids=str,
)
def test_keys_become_actions(space, held, pressed, action):
    viewer = SimpleNamespace(pressed=pressed, held=lambda key: key in held)
    keys = Keys(actions_of(space), viewer)
    np.testing.assert_allclose(keys(None, None)[0], action, rtol=1e-6)


def test_an_agent_is_recorded_and_an_export_plays_as_well(trained, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / "ckpt", tmp_path / "ckpt")
    config_of(tmp_path, general={"generating_agent": "agent"})
    run(tmp_path, "record_data", "more.hdf5", "-n", "2", "--processes", "1")
    with data.open_file(tmp_path / "more.hdf5") as file:
        assert file.games == 2
    said = run(tmp_path, "export", "small").stdout
    sizes = [p.stat().st_size for p in (tmp_path / "small").iterdir()]
    assert len(sizes) == 3 and sum(sizes) < 2e6, said
    paths = ["-v", "small/vision.ckpt", "-m", "small/memory.ckpt", "-c", "small/mind.ckpt"]
    shutil.rmtree(tmp_path / "ckpt")
    run(tmp_path, "eval", "-n", "1", "--processes", "1", *paths)
    assert "encoder alone" in run(tmp_path, "dream", *paths, status=2).stderr


def test_check_judges_every_stage(trained, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / "ckpt", tmp_path / "ckpt")
    shutil.copy(folder / "config.json", tmp_path)
    said = run(tmp_path, "check", "--episodes", "2", "--frames", "40", status=1).stdout
    assert "mend first: V" in said  # after a dozen steps it is no V yet
    report = json.loads((tmp_path / "check/check.json").read_text())
    assert [stage["stage"] for stage in report["stages"]] == ["V", "M", "dream", "C"]
    assert (tmp_path / "check/V.png").is_file() and (tmp_path / "check/dream.png").is_file()


def test_help_of_the_script_and_of_each_command(tmp_path):
    import run as script

    for name in script.COMMANDS:
        text = script.parser()._subparsers._group_actions[0].choices[name].format_help()
        assert script.COMMANDS[name][1].split()[0] in text
    assert "record_data" in run(tmp_path, "--help").stdout
    assert "rnn_training:" in run(tmp_path, "keys").stdout


def test_the_configs_that_are_shipped_can_be_loaded():
    import config

    paths = sorted((ROOM / "configs").glob("*.json"))
    assert paths
    for path in paths:
        config.load(path)
    assert (
        CARTPOLE["general"]["game_name"]
        == config.load(ROOM / "configs/cartpole.json").general.game_name
    )


def test_the_shipped_agent_balances_the_pole(tmp_path):
    folder, config = ROOM / "agents/cartpole", ROOM / "configs/cartpole_dream.json"
    paths = ["-v", folder / "vision.ckpt", "-m", folder / "memory.ckpt", "-c", folder / "mind.ckpt"]
    game = ["eval", "-n", 1, "--seed", 7, "--processes", 1, *paths]
    said = run(tmp_path, "-c", config, "--quiet", *game).stdout
    assert float(said.split("average_reward ")[1].split()[0]) >= 400  # 500 in each of 20 games
