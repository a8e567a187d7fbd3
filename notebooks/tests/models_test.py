"""rnn_test, controller_test and vae_test's sliders: executed, and their numbers checked.

Both notebooks of a room run one after the other in one kernel, which saves half of the time.
"""

import sys

import nbformat
import numpy as np
import pytest
from notebooks_test import test_no_outputs_in_git_and_a_text_before_every_cell as check_clean
from running import HERE, assignments, execute, import_v, picture_count, printed

from kit.files.weights import save_controller, save_initial_z, save_weights

NOTEBOOKS = ("rnn_test.ipynb", "controller_test.ipynb")
DOOM = HERE.parent / "doomrnn"

# What the last cell of each notebook hands to the test.
RNN = """
np.savez(f"{RESULT}_rnn.npz", nll=nll, lazy=lazy, mixtures=mixtures, z=z, action=action,
    lines=np.stack(lines), columns=columns, frames=frames, lengths=lengths,
    expected=expected, places=places,
    ends=np.concatenate([guess[1] for guess in guesses]) if ROOM == "doomrnn" else [])
"""
CONTROLLER = """
np.savez(f"{RESULT}_controller.npz", seen=seen, actions=actions, weights=weights, push=push,
    rewards=rewards, parameters=parameters, scores=scores, grid=grid, z=z, order=order,
    starts=[part.start for part in parts.values()], ends=ends, frames=np.stack(frames),
    biases=biases)
"""


def both(folder, parameters):
    """A notebook of both notebooks' cells, with `parameters` for both; returns its path."""
    cells = []
    for name, last in zip(NOTEBOOKS, (RNN, CONTROLLER), strict=True):
        for cell in nbformat.read(HERE / name, 4).cells:
            cells.append(cell)
            if cell.id == "parameters":
                cells.append(assignments(parameters))
        cells.append(nbformat.v4.new_code_cell(last))
    for number, cell in enumerate(cells[2:]):  # the first `parameters` keeps its name
        cell["id"] = cell.id if cell.id == "parameters" and number < 3 else f"cell-{number}"
    path = folder / "both.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return str(path)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_outputs_in_git(name):
    check_clean(name)


def log_density(mixture, values):
    """Of values (T, Z) under mixtures (T, 3, K, Z), in float64 and straight from the formula."""
    weight, mean, log_width = mixture.astype(np.float64).transpose(1, 0, 2, 3)
    share = np.exp(weight) / np.exp(weight).sum(1, keepdims=True)
    width = np.exp(log_width)
    bells = np.exp(-(((values[:, None] - mean) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
    return np.log((share * bells).sum(1))


def check_rnn(result):
    """The score is that of the mixtures shown, and each picture what it says it is."""
    mixtures, z, lengths = result["mixtures"], result["z"], result["lengths"]
    assert len(mixtures) == len(z) - 1 == lengths.max() - 1
    assert result["nll"].shape == result["lazy"].shape == ((lengths - 1).sum(), z.shape[1])
    longest = lengths.argmax()
    start = (lengths - 1)[:longest].sum()
    mine = result["nll"][start : start + lengths[longest] - 1]
    np.testing.assert_allclose(mine, -log_density(mixtures, z[1:]), rtol=1e-3, atol=1e-3)
    lines, columns = result["lines"], result["columns"]
    assert lines.shape == (5, 12, 64, 64, 3)
    np.testing.assert_array_equal(lines[0], result["frames"][columns])
    assert columns[0] == min(60, len(z) // 2) and (np.diff(columns) > 0).all()
    # the hotter the dream, the further it is from the others
    assert (lines[1] != lines[4]).any()


def check_controller(result, squash):
    """Actions follow from what was seen and the weights; pushes are spreads of products."""
    seen, weights, biases = result["seen"], result["weights"], int(result["biases"])
    total = seen.astype(np.float64) @ weights + (result["parameters"][:biases] if biases else 0)
    np.testing.assert_allclose(result["actions"], squash(total), atol=1e-4)
    np.testing.assert_allclose(result["push"], seen.std(0)[:, None] * abs(weights), rtol=1e-3)
    assert (np.diff(result["push"][result["order"], 0]) <= 0).all()
    assert result["grid"].shape == (36, 64, 64, 3)
    middle = result["z"][len(result["z"]) // 2]
    assert middle.shape == (result["starts"][1],)


def test_doom_on_the_shipped_weights(tmp_path):
    if not (DOOM / "tf_models" / "rnn.json").exists():
        pytest.skip("no weights in doomrnn/tf_models")
    given = {"ROOM": "doomrnn", "SEED": 5, "EPISODES": 2, "DREAMS": 4, "STEPS": 50, "LENGTH": 40}
    given["RESULT"] = str(tmp_path / "result")
    notebook = execute(both(tmp_path, given), tmp_path, {})
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 5 + 5
    text = printed(notebook)
    assert "M: 512 cells, 5 bell curves a latent, 1,678,785 parameters" in text
    assert "1088 parameters, 1088 numbers seen, 1 outputs" in text
    with np.load(tmp_path / "result_rnn.npz") as result:
        check_rnn(result)
        assert result["nll"].mean() < result["lazy"].mean() - 0.3  # 0.98 and 1.45 over many
        assert result["ends"].shape == (result["lengths"].sum(),)
        assert (result["ends"] >= 0).all() and (result["ends"] <= 1).all()
    with np.load(tmp_path / "result_controller.npz") as result:
        check_controller(result, np.tanh)
        assert result["starts"].tolist() == [0, 64, 576]
        assert result["scores"].shape == (4, 2) and (result["scores"] == 40).all()
        assert result["frames"].shape == (50, 64, 64, 3)


def random_room(folder):
    """The weight files of a CarRacing room, all of them random."""
    rng = np.random.default_rng(0)
    import_v().VAE(32).save(folder / "vae" / "vae.json")
    shapes = [(256, 480), (480,), (32 + 3 + 256, 1024), (1024,)]
    save_weights(folder / "rnn" / "rnn.json", [rng.normal(0, 0.1, shape) for shape in shapes])
    save_initial_z(folder / "initial_z" / "initial_z.json", *rng.normal(size=(2, 3, 32)))
    save_controller(folder / "agent.json", rng.normal(0, 0.3, 867))


def test_carracing_on_random_weights(tmp_path):
    random_room(tmp_path)
    given = {"ROOM": "carracing", "SEED": 5, "EPISODES": 2, "STEPS": 40, "LENGTH": 20}
    given |= {"MODELS": str(tmp_path), "AGENT": f"{tmp_path}/agent.json"}
    given["RESULT"] = str(tmp_path / "result")
    notebook = execute(both(tmp_path, given), tmp_path, {})
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 4 + 5
    text = printed(notebook)
    assert "M: 256 cells, 5 bell curves a latent, 422,368 parameters" in text
    assert "this M foresees no end" in text and "867 parameters, 288 numbers seen" in text
    with np.load(tmp_path / "result_rnn.npz") as result:
        check_rnn(result)
        assert result["lengths"].tolist() == [1000, 1000] and not len(result["ends"])
    with np.load(tmp_path / "result_controller.npz") as result:

        def squash(total):
            steer, gas, brake = np.tanh(total).T
            return np.stack((steer, (gas + 1) / 2, brake.clip(0, 1)), axis=1)

        check_controller(result, squash)
        assert result["starts"].tolist() == [0, 32] and result["scores"].shape == (4, 2)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_an_unknown_room_and_missing_weights_are_sentences(name):
    """The cells alone, without a kernel."""
    cells = {cell.id: cell.source for cell in nbformat.read(HERE / name, 4).cells}
    setup = cells["setup"].replace("%matplotlib inline", "")
    names = {}
    exec(cells["parameters"].replace('"doomrnn"', '"doom"'), names)
    with pytest.raises(Exception, match='expected "doomrnn" or "carracing", found "doom"'):
        exec(setup, names)


def test_sliders_turn_the_latents_and_degrade(monkeypatch, capsys):
    cells = {cell.id: cell.source for cell in nbformat.read(HERE / "vae_test.ipynb", 4).cells}
    shown, drawn = [], []

    class Vae:
        def decode(self, z):
            drawn.append(z[0].copy())
            return np.zeros((1, 64, 64, 3), np.float32)

    def names():
        from matplotlib import pyplot

        from kit.show import pictures

        pyplot.switch_backend("agg")
        rng = np.random.default_rng(0)
        given = {
            "average": np.arange(8.0),
            "spread": np.full(8, 0.5),
            "mu": rng.normal(size=(3, 8)),
        }
        given |= {"vae": Vae(), "widest": np.array([6, 2]), "display": shown.append}
        return given | {"np": np, "plt": pyplot, "pictures": pictures}

    globals_ = names()
    exec(cells["sliders"], globals_)
    assert list(globals_["sliders"]) == ["z6", "z2"] and len(shown) == 1
    expected = globals_["mu"][0].copy()
    expected[[6, 2]] = [6, 2]
    np.testing.assert_allclose(drawn[-1], expected)
    globals_["sliders"]["z2"].value = -1.5
    expected[2] = 2 - 1.5 * 0.5
    np.testing.assert_allclose(drawn[-1], expected)

    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # as if it were not installed
    exec(cells["sliders"], names())
    assert (
        len(shown) == 1 and "no sliders: the grid above shows the same" in capsys.readouterr().out
    )
