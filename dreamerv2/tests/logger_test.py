"""The logger: what stands in metrics.jsonl and in TensorBoard's events."""

import io
import json

import imageio.v3 as imageio
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dreamerv2.logger import JSONLOutput, Logger, TensorBoardOutput, TerminalOutput


def test_metrics_are_lines_of_json_with_steps_times_the_action_repeat(tmp_path):
    logger = Logger([JSONLOutput(tmp_path)], multiplier=4)
    logger.step = 10
    logger.add({"return": 2.5, "picture": np.zeros((8, 8, 3), np.uint8)}, prefix="train")
    logger.add({"loss": np.float32(np.nan)})
    logger.write()
    logger.write()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 40, "train_return": 2.5, "loss": None}]


def test_a_line_that_a_kill_cut_off_is_removed(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "lo')
    logger = Logger([JSONLOutput(tmp_path)])
    logger.add({"loss": 1})
    logger.write()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 0, "loss": 1.0}\n'


def test_frames_a_second_are_of_the_environment(tmp_path, monkeypatch):
    times = iter([10.0, 12.0])
    monkeypatch.setattr("dreamerv2.logger.time.monotonic", lambda: next(times))
    seen = []
    logger = Logger([seen.extend], multiplier=2)
    logger.step = 100
    logger.write(fps=True)
    assert seen == [(200, "fps", 100.0)]


def test_shapes_that_are_nothing_to_show():
    with pytest.raises(ValueError, match="expected a number, image or video"):
        Logger([]).add({"line": np.zeros(3)})


def test_tensorboard_has_scalars_images_and_films(tmp_path):
    logger = Logger([TensorBoardOutput(tmp_path)])
    logger.step = 7
    film = np.zeros((5, 16, 24, 3), np.uint8)
    film[np.arange(5), :, np.arange(5)] = 200
    grey = film[..., :1]
    logger.add({"loss": 1.5, "bad": np.inf, "film": film, "grey": grey, "picture": film[0]})
    logger.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["scalars"] == ["scalars/loss"]
    assert [(e.step, e.value) for e in events.Scalars("scalars/loss")] == [(7, 1.5)]
    assert sorted(events.Tags()["images"]) == ["film", "grey", "picture"]
    for name, shown in (("film", film), ("grey", np.repeat(grey, 3, -1))):
        (event,) = events.Images(name)
        assert (event.width, event.height) == (24, 16)
        frames = imageio.imread(io.BytesIO(event.encoded_image_string), extension=".gif")
        assert frames.shape == (5, 16, 24, 3) and np.abs(frames.astype(int) - shown).max() < 3


def test_the_terminal_shows_the_newest_numbers_now_and_then(capsys):
    output = TerminalOutput(interval=3600)
    for step in range(3):
        output([(step, "return", np.float64(step))])
    assert capsys.readouterr().out == "[0] return 0\n"
