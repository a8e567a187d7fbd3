"""The file formats against text written by hand, round trips, and bad files."""

import json

import numpy as np
import pytest

from kit.command.errors import UserError
from kit.files import atomic, weights


def test_weights_are_written_as_the_reference_writes_them(tmp_path):
    arrays = [np.float32([[0.5, -1.25], [0.00004, 0.00006]]), np.float32([2.0])]
    weights.save_weights(tmp_path / "vae.json", arrays)
    text = (tmp_path / "vae.json").read_text()
    assert text == "[\n[\n[\n5000,\n-12500\n],\n[\n0,\n1\n]\n],\n[\n20000\n]\n]"
    assert text == json.dumps([[[5000, -12500], [0, 1]], [20000]], indent=0)


def test_weights_come_back_within_half_a_unit(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((3, 4, 5)), rng.standard_normal(7)]
    weights.save_weights(tmp_path / "a.json", arrays)
    back = weights.load_weights(tmp_path / "a.json", [(3, 4, 5), (7,)])
    for array, read in zip(arrays, back, strict=True):
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, array, atol=5.1e-5)
    weights.save_weights(tmp_path / "b.json", back)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[1, 2", "no complete json"),
        ("", "no complete json"),
        ('{"a": 1}', "a dict"),
        ("[[1, 2, 3]]", "list of 2 arrays, found 1"),
        ("[[1, 2], [3]]", r"shape \(3,\) for array 0, found \(2,\)"),
        ("[[1, NaN, 3], [4]]", "NaN"),
        ("[[1, null, 3], [4]]", "something else"),
        ('[[1, "2", 3], [4]]', "something else"),
        ("[[[1, 2], [3]], [4]]", "ragged"),
    ],
)
def test_bad_weights_are_named(tmp_path, text, said):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        weights.load_weights(path, [(3,), (1,)])
    assert str(path) in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.json cannot be read: No such file"):
        weights.load_controller(tmp_path / "nowhere.json", None)


def test_weights_with_nan_are_not_written(tmp_path):
    with pytest.raises(UserError, match="array 1 holds NaN"):
        weights.save_weights(tmp_path / "a.json", [np.zeros(2), np.array([np.nan])])
    with pytest.raises(UserError, match=r"a\.json was not written: it would hold NaN"):
        atomic.write_json(tmp_path / "a.json", {"loss": np.inf})
    assert not list(tmp_path.iterdir())


def test_controllers_of_both_forms(tmp_path):
    theta = np.array([0.12345, -1.0, 2.00006])
    weights.save_controller(tmp_path / "c.json", theta)
    weights.save_controller(tmp_path / "c.best.json", theta, score=12.5)
    assert json.loads((tmp_path / "c.json").read_text()) == [[0.1234, -1.0, 2.0001]]
    assert (tmp_path / "c.best.json").read_text() == "[\n[\n0.1234,\n-1.0,\n2.0001\n],\n12.5\n]"
    for name in ("c.json", "c.best.json"):
        back = weights.load_controller(tmp_path / name, 3)
        assert back.dtype == np.float64 and back.tolist() == [0.1234, -1.0, 2.0001]
    with pytest.raises(UserError, match=r"c\.json: expected 867 parameters .* \(3,\)"):
        weights.load_controller(tmp_path / "c.json", 867)


@pytest.mark.parametrize("text", ["[]", "[1, 2]", "[[]]", "[[[1]]]", "[[Infinity]]", "3"])
def test_bad_controllers_are_named(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"bad\.json"):
        weights.load_controller(path, None)


def test_initial_z_is_cut_off_and_stable(tmp_path):
    mu, logvar = np.array([[0.12349, -0.12349]]), np.array([[-1.0, 0.29]])
    weights.save_initial_z(tmp_path / "z.json", mu, logvar)
    assert json.loads((tmp_path / "z.json").read_text()) == [[[1234, -1234]], [[-10000, 2900]]]
    pair = weights.load_initial_z(tmp_path / "z.json", 2)
    assert pair[0].dtype == np.float32
    weights.save_initial_z(tmp_path / "again.json", *pair)
    assert (tmp_path / "z.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    with pytest.raises(UserError, match=r"\(N, 64\), found \(1, 2\)"):
        weights.load_initial_z(tmp_path / "z.json", 64)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "value.json"
    atomic.write_json(path, 1)
    with pytest.raises(ValueError, match="half"), atomic.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ValueError("half way")
    assert path.read_text() == "1\n"
    assert [file.name for file in tmp_path.iterdir()] == ["value.json"]


def test_a_folder_that_is_a_file_is_a_user_error(tmp_path):
    (tmp_path / "log").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        atomic.write_json(tmp_path / "log" / "a.json", 1)
