"""Training M: the streams it sees, what counts as a death, resuming, a command line run."""

import json
from pathlib import Path

import numpy as np
import pytest

from kit.command.errors import UserError
from kit.files.weights import load_initial_z
from kit.tensors import precision
from kit.tensors.tf import tf

import rnn_train
from held_out import HeldOut
from rnn import MDNRNN
from rnn_data import Series, passes, streams
from rnn_train import Training, learning_rate, parse
from world import MAX_STEPS

LENGTHS = [70, 40, 55, 90, 61]


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "series.npz", LENGTHS)


def write(path, lengths):
    rng, frames = np.random.default_rng(0), sum(lengths)
    mu = rng.normal(size=(frames, 64)).astype(np.float16)
    mu[:, 0] = np.arange(frames)  # names the frame
    action = rng.uniform(-1, 1, frames).astype(np.float16)
    logvar = np.full((frames, 64), -3, np.float16)
    np.savez(path, mu=mu, logvar=logvar, action=action, length=np.array(lengths, np.int32))
    return path


def test_streams_run_through_whole_episodes_and_every_pass_is_shuffled_anew(path):
    series = Series(path)
    episodes = np.array([0, 2, 3, 4])  # 276 frames: 2 streams of 138, 17 chunks of 8 steps
    generator = passes(series, episodes, 2, 8, 5, [0, 0])
    chunks = [next(generator) for _ in range(35)]
    assert [position for _, position in chunks[15:19]] == [[0, 16], [1, 0], [1, 1], [1, 2]]
    frames = [chunk["mu"][:, :, 0].astype(int) for chunk, _ in chunks]  # what each is called
    first = np.concatenate([chunk[:-1] for chunk in frames[:17]])  # (136, 2)
    starts = series.restart[first]
    assert starts[0, 0] == 1 and starts.sum() >= 3
    for stream in (0, 1):
        jumps = np.flatnonzero(np.diff(first[:, stream]) != 1) + 1
        assert (starts[jumps, stream] == 1).all()
    assert not np.isin(first, series.frames(np.array([1]))).any()
    assert (frames[0][-1] == frames[1][0]).all()  # the last frame is only predicted
    assert (frames[0] != frames[17]).any()
    again = passes(series, episodes, 2, 8, 5, chunks[20][1])
    np.testing.assert_array_equal(next(again)[0]["mu"], chunks[21][0]["mu"])


def test_an_end_by_the_clock_is_no_death(tmp_path):
    series = Series(write(tmp_path / "series.npz", [50, MAX_STEPS, 30]))
    assert np.flatnonzero(series.known == 0).tolist() == [50 + MAX_STEPS - 1]
    chunk = series.chunk(np.arange(48, 53)[:, None])
    assert chunk["restart"].ravel().tolist() == [0, 1, 0, 0]
    assert chunk["fresh"].ravel().tolist() == [0, 0, 1, 0]
    assert set(np.unique(series.action)) == {-1, 0, 1}


def test_two_series_are_one_after_the_other(tmp_path, path):
    both = Series(path, write(tmp_path / "agent.npz", [20, MAX_STEPS]))
    assert both.length.tolist() == [*LENGTHS, 20, MAX_STEPS]
    assert both.start[-2:].tolist() == [sum(LENGTHS), sum(LENGTHS) + 20]
    assert both.mu[both.start[-1], 0] == 20  # names the frame in its own file
    assert np.flatnonzero(both.known == 0).tolist() == [len(both.mu) - 1]


def test_bad_series_are_named(tmp_path, path):
    with pytest.raises(UserError, match=r"none\.npz"):
        Series(tmp_path / "none.npz")
    with pytest.raises(UserError, match=r"series\.npz.*\(316, 32\)"):
        Series(path, z_size=32)
    with pytest.raises(UserError, match="316 frames are too few for 100 streams"):
        streams(np.arange(316), 100, 64, "x")


def arguments(path, folder, *extra):
    flags = ["--preset", "smoke", "--series", str(path), "--output", str(folder)]
    return parse([*flags, "--length", "4", *extra])


def train(training, series, steps):
    data = passes(series, np.arange(5), 4, 4, 0, training.position)
    for _ in range(steps):
        chunk, position = next(data)
        training.advance(chunk)
        training.position = position
    return [v.numpy() for v in [*training.optimiser.state(), *training.state]]


def test_resuming_equals_going_on(path, tmp_path):
    series = Series(path)
    whole = train(Training(arguments(path, tmp_path / "a"), 2, tf.float32), series, 21)
    half = Training(arguments(path, tmp_path / "b"), 2, tf.float32)
    train(half, series, 17)
    half.save()
    resumed = Training(arguments(path, tmp_path / "b"), 2, tf.float32)
    assert resumed.step == 17 and resumed.position == half.position
    for one, other in zip(whole, train(resumed, series, 4), strict=True):
        np.testing.assert_array_equal(one, other)
    assert Training(arguments(path, tmp_path / "b", "--restart"), 2, tf.float32).step == 0


def test_held_out_counts_deaths_and_false_alarms(path, tmp_path):
    series = Series(path)
    test = HeldOut(series, np.arange(5), arguments(path, tmp_path), tf.float32)
    rnn = MDNRNN(64, hidden=8)
    variables = [tf.zeros(shape) for shape in rnn.shapes]
    z, end, recall, false = test.run(variables)
    assert end == pytest.approx(np.log(2) * (1 + 9 * 4 / (len(test.parts) - 1)), rel=1e-3)
    assert recall == 0 and false == 0
    bias = np.zeros(rnn.output_size, np.float32)
    bias[-1] = 1  # an alarm always
    z, end, recall, false = test.run([*variables[:3], tf.constant(bias)])
    assert recall == 1 and false == 1000
    assert z > test.persistence()


def test_rate_is_flat_then_decays():
    args = parse(["--learning_rate", "1e-3", "--flat", "0.5", "--final_rate", "1e-5"])
    rates = [learning_rate(part, args) for part in (0, 0.5, 0.75, 1)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-5])


def test_the_command_leaves_every_file_and_goes_on(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(precision, "use_towers", lambda: 2)  # too late here
    for steps in ("2", "4"):
        rnn_train.main(["--preset", "smoke", "--series", str(path), "--steps", steps])
    output = capsys.readouterr().out
    assert "going on from step 2" in output and "deaths foreseen" in output
    MDNRNN().load("tf_rnn/rnn.json")
    assert len(load_initial_z("tf_initial_z/initial_z.json", 64)[0]) == len(LENGTHS)
    history = json.loads(Path("tf_rnn/rnn.hist.json").read_text())
    assert [row[0] for row in history] == [2, 4]
    assert Path("tf_rnn/loss.png").stat().st_size > 1000
