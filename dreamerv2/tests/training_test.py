"""Whole runs at the smallest sizes: what they leave, how they end and go on, what is refused."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import dreamerv2.api as dv2
from dreamerv2 import agents, evaluate
from dreamerv2 import config as settings
from dreamerv2 import train as script
from dreamerv2.envs.batch import make_batch
from dreamerv2.envs.make import make
from dreamerv2.replay import Replay
from dreamerv2.training import train
from kit.command import locks
from kit.command.errors import UserError

from tiny import TINY, make_grid

ROOT = Path(__file__).parents[2]
TRAIN = [sys.executable, str(ROOT / "dreamerv2" / "train.py"), "--configs", "smoke"]


def files_steps(folder):
    """Steps that the names of a folder's episodes add up to."""
    return sum(int(path.stem.rpartition("-")[2]) for path in folder.glob("*.npz"))


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def checkpoint_values(folder):
    with np.load(folder / "variables.npz", allow_pickle=False) as file:
        return json.loads(str(file["values"]))


def command(*flags):
    """A training in a separate process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*TRAIN, *map(str, flags)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_run_leaves_episodes_metrics_settings_and_an_agent(run):
    assert files_steps(run / "train_episodes") == 200
    assert checkpoint_values(run)["step"] == 200
    assert (run / "config.yaml").exists() and list(run.glob("events*"))
    rows = metrics(run)
    names = {name for row in rows for name in row}
    expected = "kl_loss image_loss reward_loss discount_loss model_loss prior_ent post_ent"
    expected += " actor_loss actor_ent critic_loss critic_target fps hours train_return return"
    expected += " train_length length eval_return eval_length train_total_steps"
    assert set(expected.split()) <= names
    evaluated = [row["step"] for row in rows if "eval_return" in row]
    assert evaluated == [80, 80, 200, 200]  # two episodes each


def test_a_run_shows_films(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run))
    events.Reload()
    films = set(events.Tags()["images"])
    assert {"train_openl_image", "eval_openl_image", "train_policy_image"} <= films


def test_pandas_reads_the_metrics(run):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_json(run / "metrics.jsonl", lines=True)
    assert table["eval_return"].notna().sum() == 4


def test_each_episode_is_logged_with_its_hours(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    episodes = [row for row in map(json.loads, lines) if {"train_return", "eval_return"} & set(row)]
    hours = [row["hours"] for row in episodes]
    assert len(hours) > 4 and hours == sorted(hours) and 0 < hours[-1] < 1


def test_a_finished_run_stays_as_it_is_and_goes_on_when_given_more_steps(run, tmp_path):
    before = checkpoint_values(run)["step"]
    config = settings.Config.load(run / "config.yaml")
    dv2.train(make_grid, config)
    assert checkpoint_values(run)["step"] == before == files_steps(run / "train_episodes")


def test_what_is_only_logged_is_hidden_from_the_agent():
    pytest.importorskip("crafter")
    config = settings.from_blocks(["crafter"])
    envs = make_batch([functools.partial(make, "crafter_reward", "train", config)])
    assert "log_achievement_collect_coal" in envs.single_observation_space.spaces
    assert list(agents.seen(envs)) == ["image"]


@pytest.mark.parametrize(
    ("configs", "task", "package", "losses"),
    [
        ("atari smoke", "atari_pong", "ale_py", {"image_loss", "discount_loss"}),
        ("smoke", "carracing", "Box2D", {"image_loss", "discount_loss"}),
        ("dmc_proprio smoke", "dmc_cup_catch", "dm_control", {"position_loss", "velocity_loss"}),
    ],
)
def test_every_suite_trains_and_evaluates(tmp_path, configs, task, package, losses):
    pytest.importorskip(package)
    flags = f"--configs {configs} --task {task} --jit False --dataset.length 4 --prefill 40"
    flags += f" --steps 80 --time_limit 40 --envs 1 --log_every 40 --eval_eps 1 --logdir {tmp_path}"
    script.main(flags.split())
    rows = metrics(tmp_path)
    assert losses <= {name for row in rows for name in row}
    repeat = settings.from_blocks(configs.split()).action_repeat
    evaluated = [row["step"] / repeat for row in rows if "eval_return" in row]
    assert evaluated == [40, 80]
    assert files_steps(tmp_path / "train_episodes") == 80


def test_another_task_or_size_in_the_same_folder_is_refused(run):
    config = settings.Config.load(run / "config.yaml").update({"steps": 10**6})
    with pytest.raises(UserError, match="holds a run of 'minigrid_Empty-5x5', not of 'gym_x'"):
        dv2.train(make_grid, config.update({"task": "gym_x"}))
    before = (run / "config.yaml").read_text()
    with pytest.raises(UserError, match=r"variables\.npz"):
        dv2.train(make_grid, config.update({"rssm.deter": 24}))
    assert (run / "config.yaml").read_text() == before


def test_one_environment_serves_training_and_evaluation(tmp_path):
    """As in the seed's example: discrete actions, pictures, no function, no second environment."""
    changed = {"logdir": str(tmp_path), "envs": 1, "steps": 160, "time_limit": 20, "eval_every": 60}
    dv2.train(make_grid(), TINY.update(changed))
    rows = metrics(tmp_path)
    assert [row["step"] for row in rows if "eval_return" in row] == [80] * 2 + [140] * 2 + [160] * 2
    assert files_steps(tmp_path / "train_episodes") == 160
    with pytest.raises(UserError, match="that a script gave to dv2"):
        evaluate.main([str(tmp_path)])
    evaluate.main([str(tmp_path), "--task", "minigrid_Empty-5x5", "--episodes", "1"])


def test_continuous_actions_and_vectors_are_found_by_themselves(tmp_path):
    changed = {"logdir": str(tmp_path), "envs": 1, "steps": 200, "time_limit": 20}
    seen = []
    dv2.train(gymnasium.make("Pendulum-v1"), TINY.update(changed), outputs=[seen.extend])
    names = {name for _, name, _ in seen}
    assert {"observation_loss", "actor_loss", "return"} <= names and "image_loss" not in names
    with np.load(next((tmp_path / "train_episodes").glob("*.npz"))) as episode:
        assert episode["action"].shape == (21, 1) and abs(episode["action"]).max() <= 1
        assert not episode["is_terminal"].any()
    assert not (tmp_path / "metrics.jsonl").exists()


def test_an_environment_alone_cannot_be_several(tmp_path):
    with pytest.raises(UserError, match="envs: expected 1 with one environment, found 2"):
        dv2.train(make_grid(), TINY.update({"logdir": str(tmp_path)}))


@pytest.mark.parametrize("explorer", ["Plan2Explore", "ModelLoss", "Random"])
def test_explorers_run(tmp_path, explorer):
    changed = {"logdir": str(tmp_path), "expl_behavior": explorer, "steps": 120, "eval_every": 0}
    dv2.train(make_grid, TINY.update(changed))
    assert checkpoint_values(tmp_path)["step"] == 120


def test_a_seed_fixes_a_run(tmp_path):
    def losses(name, seed):
        changed = {"logdir": str(tmp_path / name), "seed": seed, "steps": 160, "eval_every": 0}
        changed["log_every"] = 20
        dv2.train(make_grid, TINY.update(changed))
        return [
            {key: value for key, value in row.items() if key not in ("fps", "hours")}
            for row in metrics(tmp_path / name)
        ]

    first, again, other = losses("a", 1), losses("b", 1), losses("c", 2)
    assert first == again and first != other


def wait_for(process, folder, step):
    """Until the log has reached `step`."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.2)
        if (folder / "metrics.jsonl").exists() and (folder / "variables.npz").exists():
            text = (folder / "metrics.jsonl").read_text().splitlines()
            if (
                text
                and json.loads(text[-1] if text[-1].endswith("}") else text[-2])["step"] >= step
            ):
                return
    process.kill()
    raise AssertionError(process.communicate()[0])


def test_a_run_goes_on_after_every_kind_of_end_with_its_steps(tmp_path):
    flags = ["--logdir", tmp_path, "--task", "minigrid_Empty-5x5", "--steps", 10**6]
    flags += ["--eval_every", 10**5, "--checkpoint_minutes", 0.005, "--log_every", 40]
    flags += ["--dataset.length", 4]
    reached = 100
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)):
        process = command(*flags, "--jit", False)
        wait_for(process, tmp_path, reached + 80)
        process.send_signal(number)
        said = process.communicate(timeout=300)[0]
        assert process.returncode == status, said
        steps = files_steps(tmp_path / "train_episodes")
        reached = max(row["step"] for row in metrics(tmp_path))
        if number != signal.SIGKILL:  # nothing at all is lost
            assert steps == checkpoint_values(tmp_path)["step"] >= reached
            assert "interrupted" in said and "Traceback" not in said
        else:  # at most what the two environments had not finished
            assert reached - 2 * 40 <= steps <= reached
    steps = files_steps(tmp_path / "train_episodes")
    before = checkpoint_values(tmp_path)
    process = command(*flags, "--steps", steps + 60, "--eval_every", 0)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    after = checkpoint_values(tmp_path)
    assert after["step"] == files_steps(tmp_path / "train_episodes") == steps + 60
    assert after["hours"] > before["hours"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--foo", "1"], "foo: expected the name of a setting"),
        (["--steps", "1.5"], "steps: expected a whole number"),
        (["--task", "nothing"], "--task: expected atari_<game>"),
        (["--configs", "nothing"], "--configs: expected atari"),
        (["--envs_parallel", "both"], "--envs_parallel: expected one of none, thread, process"),
    ],
)
def test_wrong_flags_of_the_command_are_a_sentence_and_status_2(tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        script.main(["--logdir", str(tmp_path), *flags])
    assert not list(tmp_path.iterdir())


def test_the_command_answers_a_wrong_flag_with_status_2():
    process = command("--foo", "1")
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 2
    assert said == "train.py: foo: expected the name of a setting, --help lists all\n"


def test_a_second_start_in_a_folder_is_refused(tmp_path):

    with locks.only_one(tmp_path), pytest.raises(UserError, match="is in use"):
        train(TINY.update({"logdir": str(tmp_path)}), make_batch([make_grid]))


def test_damaged_episodes_do_not_stop_a_run(tmp_path, capsys):
    changed = {"logdir": str(tmp_path), "steps": 120, "eval_every": 0}
    dv2.train(make_grid, TINY.update(changed))
    victim = sorted((tmp_path / "train_episodes").glob("*.npz"))[0]
    victim.write_bytes(victim.read_bytes()[:100])
    dv2.train(make_grid, TINY.update(changed | {"steps": 160}))
    assert f"skipped damaged episode {victim}" in capsys.readouterr().out
    assert len(Replay(tmp_path / "train_episodes")) > 1
