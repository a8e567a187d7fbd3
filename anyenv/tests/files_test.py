"""Bad files, files of another config, files of the original, and kill -9: nothing is lost."""

import os
import random
import shutil
import signal
import subprocess

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from kit.command.errors import UserError
from kit.files.weights import save_controller

import data
import models
import run as script
from agent import load_mind
from frames import Frames
from models import Memory
from record_data import Parts
from rnn import MDNRNN
from rnn_data import Rewards
from smoke import CARTPOLE, config_of, general, run, start
from vae import VAE
from world import actions_of

LENGTHS = (40, 7, 23, 30)


def write(path, lengths=LENGTHS, shape=(64, 64, 3), chunk=8, about=None):
    """A file of random frames, whose first pixel is the number of the frame."""
    rng, number = np.random.default_rng(0), 0
    about = data.made_with(general(**CARTPOLE["general"])) if about is None else about
    data.create(path, shape, "uint8", 1, np.int64, chunk, about)

    def episodes():
        nonlocal number
        for length in lengths:
            states = rng.integers(0, 256, (length, *shape), np.uint8)
            states.reshape(length, -1)[:, 0] = np.arange(number, number + length)
            number += length
            actions = rng.integers(0, 2, (length, 1))
            yield states, actions, np.ones(length, np.float32), True

    data.append(path, episodes())
    return path


def original(path):
    """A file as HumbleRL's StoreTransitions leaves it: room to spare, a game broken off."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name, value in {"N_TRANSITIONS": 50, "N_GAMES": 2, "CHUNK_SIZE": 16}.items():
            file.attrs[name] = value
        file.attrs["STATE_SHAPE"], file.attrs["ACTION_DIM"] = (64, 64, 3), 1
        shape = (96, 64, 64, 3)
        states = rng.integers(0, 256, shape, np.uint8)
        file.create_dataset(
            "states",
            data=states,
            maxshape=(None, *shape[1:]),
            chunks=(16, *shape[1:]),
            compression="lzf",
        )
        actions = rng.integers(0, 2, (96, 1))
        file.create_dataset("actions", data=actions, maxshape=(None, 1), chunks=(16, 1))
        file.create_dataset("rewards", data=np.ones(96, "f4"), maxshape=(None,), chunks=(16,))
        starts = np.array([0, 20, 45, *[0] * 94])
        file.create_dataset("episodes", data=starts, maxshape=(None,), chunks=(16,))
    return path


def test_a_file_of_the_original_is_read_and_topped_up(tmp_path):
    path = original(tmp_path / "vae.hdf5")
    config_of(tmp_path)
    with data.open_file(path, general(**CARTPOLE["general"]), latent=False) as found:
        assert (found.games, found.count, found.tells_ends) == (2, 45, False)
        before = found.read("states", 0, 45)
    run(tmp_path, "record_data", path, "-n", 4, "--processes", 1)
    with data.open_file(path) as found:
        assert found.games == 4
        assert (found.read("states", 0, 45) == before).all()
        assert found.terminated.all() and found.tells_ends


def test_frames_for_v_are_each_once_in_an_epoch_and_never_held_out_ones(tmp_path):
    with data.open_file(write(tmp_path / "a.hdf5")) as source:
        frames = Frames(source, 4, seed=0)
        seen = np.concatenate([batch[:, 0, 0, 0] for batch in frames.batches(0, 0)])
        tested = frames.held_out()[:, 0, 0, 0]
        assert len(set(seen)) == len(seen) and not set(seen) & set(tested)
        assert frames.training - len(seen) < 4 and len(tested) == 100 - frames.training
        other = np.concatenate([batch[:, 0, 0, 0] for batch in frames.batches(1, 0)])
        assert (seen != other).any()
        rest = np.concatenate([batch[:, 0, 0, 0] for batch in frames.batches(0, 5)])
        assert (rest == seen[20:]).all()  # an epoch that goes on


def test_frames_that_make_no_whole_batch_are_one_batch(tmp_path):
    with data.open_file(write(tmp_path / "a.hdf5", (5, 6))) as source:
        sizes = [len(batch) for batch in Frames(source, 100, seed=0).batches(0, 0)]
    assert sizes in ([5], [6])


@pytest.mark.parametrize(
    "harm",
    ["empty", "text", "cut", "no actions", "no attributes", "episodes", "too few", "a folder"],
)
def test_a_damaged_file_is_one_sentence_and_left_as_it_is(tmp_path, monkeypatch, harm):
    config_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "a.hdf5")
    if harm == "empty":
        path.write_bytes(b"")
    elif harm == "text":
        path.write_text("hello")
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:30_000])
    elif harm == "a folder":
        path.unlink()
        path.mkdir()
    else:
        with h5py.File(path, "r+") as file:
            if harm == "no actions":
                del file["actions"]
            elif harm == "no attributes":
                del file.attrs["N_GAMES"]
            elif harm == "episodes":
                file["episodes"][1] = 90
            else:
                file.attrs["N_TRANSITIONS"] = 1000
    before = path.read_bytes() if path.is_file() else None
    for stage in (["train_vae", path], ["record_data", path, "-n", 9, "--processes", 1]):
        with pytest.raises(UserError, match=str(path)) as error:
            script.main(["-c", str(tmp_path / "config.json"), *map(str, stage)])
        assert "\n" not in str(error.value)
    assert before is None or path.read_bytes() == before


def test_a_damaged_part_of_a_file_is_one_sentence(tmp_path):
    path = write(tmp_path / "a.hdf5", (400,))
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 3, len(content) // 3 + 60_000):
        content[place] = 0
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"), data.open_file(path) as source:
        for start in range(0, 400, 8):
            source.read("states", start, start + 8)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"game_name": "ALE/Boxing-v5"}, 'recorded with general.game_name "CartPole-v1"'),
        ({"crop_range": "[:, :, :]"}, "recorded with general.crop_range"),
        ({"state_shape": [64, 64, 1]}, "holds frames \\(64, 64, 3\\)"),
        ({"channels": "history"}, "recorded with general.channels"),
    ],
)
def test_another_configs_file_is_one_sentence(tmp_path, changed, said):
    path = write(tmp_path / "a.hdf5")
    values = general(**CARTPOLE["general"] | changed)
    with pytest.raises(UserError, match=said), data.open_file(path, values, latent=False):
        pass


def test_frames_and_latents_are_not_taken_for_each_other(tmp_path):
    path = write(tmp_path / "a.hdf5")
    with (
        pytest.raises(UserError, match="run convert_data first"),
        data.open_file(path, latent=True),
    ):
        pass


@pytest.fixture
def weights(tmp_path):
    """V, M and C of CartPole in files, and their config."""
    config = config_of(tmp_path)
    actions = actions_of(spaces.Discrete(2))
    models.save_vision(tmp_path / "v", [v.numpy() for v in VAE(4).variables], config)
    memory = Memory(MDNRNN(models.size_of(config, 2)), Rewards(0, 1), (np.ones((3, 4)),) * 2, 9)
    models.save_memory(tmp_path / "m", memory, config)
    save_controller(tmp_path / "c", np.zeros(26))
    return config, actions


def test_weights_come_back_as_they_were(weights, tmp_path):
    config, actions = weights
    vae = models.load_vision(tmp_path / "v", config)
    assert vae.can_decode
    np.testing.assert_array_equal(vae.variables[14], VAE(4).variables[14])
    memory = models.load_memory(tmp_path / "m", config, 2)
    assert memory.longest == 9 and memory.rewards == (0, 1)
    np.testing.assert_array_equal(memory.rnn.variables[0], MDNRNN(memory.rnn.size).variables[0])
    assert load_mind(tmp_path / "c", config, actions).shape == (26,)


def test_weights_of_another_environment_or_size_are_one_sentence(weights, tmp_path):
    config, actions = weights
    with pytest.raises(UserError, match="holds vision, expected the memory"):
        models.load_memory(tmp_path / "v", config, 2)
    with pytest.raises(UserError, match=r"action_size 2.* the config asks for .*action_size 18"):
        models.load_memory(tmp_path / "m", config, 18)
    with pytest.raises(UserError, match="expected 26 parameters"):
        save_controller(tmp_path / "c", np.zeros(27))
        load_mind(tmp_path / "c", config, actions)
    config.general.game_name = "ALE/Boxing-v5"
    with pytest.raises(UserError, match=r'was trained for general.game_name "CartPole-v1"'):
        models.load_vision(tmp_path / "v", config)
    config = config_of(tmp_path, vae_training={"latent_space_dim": 5})
    with pytest.raises(UserError, match=r"a V of 4 latents, vae_training.latent_space_dim is 5"):
        models.load_vision(tmp_path / "v", config)


@pytest.mark.parametrize("harm", ["cut", "text", "empty", "nan", "missing", "pickle"])
@pytest.mark.parametrize("name", ["v", "m"])
def test_damaged_weights_are_one_sentence(weights, tmp_path, name, harm):
    config, _ = weights
    path = tmp_path / name
    if harm == "nan":
        with np.load(path) as file:
            arrays = dict(file)
        arrays["array_1"][0] = np.nan
        with path.open("wb") as file:
            np.savez(file, **arrays)
    elif harm == "pickle":
        with path.open("wb") as file:
            np.savez(file, about=np.array([{}], dtype=object), array_0=np.zeros(2))
    elif harm == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": path.read_bytes()[:5000], "text": b"hello", "empty": b""}[harm])
    load = {
        "v": lambda: models.load_vision(path, config),
        "m": lambda: models.load_memory(path, config, 2),
    }
    with pytest.raises(UserError, match=str(path)):
        load[name]()


def kill(folder, *arguments, after: float) -> bool:
    """Start a command and kill -9 all its processes after some seconds; False: it was faster."""
    process = start(folder, *arguments)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def test_recording_that_is_killed_goes_on_and_ends_the_same(tmp_path):
    config_of(tmp_path)
    whole, killed = tmp_path / "whole.hdf5", tmp_path / "killed.hdf5"
    command = ["-n", 40, "--processes", 1]
    run(tmp_path, "record_data", whole, *command)
    rng, kept = random.Random(0), 0
    for _ in range(3):
        if not kill(tmp_path, "record_data", killed, *command, after=rng.uniform(1.0, 3.5)):
            break
        if killed.exists():  # all are joined already
            break
        parts = list((tmp_path / "killed.hdf5.parts").glob("*.npz"))
        assert len(parts) >= kept  # what was finished stays
        kept = len(parts)
    run(tmp_path, "record_data", killed, *command)
    with data.open_file(whole) as one, data.open_file(killed) as other:
        assert other.games == 40
        assert (one.episodes == other.episodes).all()
        for name in ("states", "actions", "rewards"):
            assert (one.read(name, 0, one.count) == other.read(name, 0, one.count)).all()


def test_unfinished_games_of_another_config_are_not_joined(tmp_path):
    config = config_of(tmp_path)
    Parts(tmp_path / "a.hdf5", config, 3).claim(config)
    Parts(tmp_path / "a.hdf5", config, 3).claim(config)
    config.general.crop_range = "[:, :, :]"
    with pytest.raises(UserError, match=r"a.hdf5.parts holds unfinished games of another config"):
        Parts(tmp_path / "a.hdf5", config, 3).claim(config)


def test_training_v_that_is_killed_ends_with_the_same_weights(tmp_path):
    config_of(tmp_path, vae_training={"epochs": 3})
    write(tmp_path / "a.hdf5")
    run(tmp_path, "train_vae", "a.hdf5")
    whole = (tmp_path / "ckpt/vision.ckpt").read_bytes()
    shutil.rmtree(tmp_path / "ckpt")
    for seconds in (6.0, 9.0):
        kill(tmp_path, "train_vae", "a.hdf5", after=seconds)
    run(tmp_path, "train_vae", "a.hdf5")
    with np.load(tmp_path / "ckpt/vision.ckpt") as file:
        found = [file[name] for name in file.files if name != "about"]
    (tmp_path / "whole").write_bytes(whole)
    with np.load(tmp_path / "whole") as file:
        wanted = [file[name] for name in file.files if name != "about"]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
