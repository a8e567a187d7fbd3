"""The notebooks: clean in git, and executed with what they draw checked against its source."""

import copy
import importlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from estool import evolve
from estool.study import toy
from kit.command import cli, mpi
from kit.files import recordings
from kit.files.weights import save_weights

HERE = Path(__file__).parents[1]
NOTEBOOKS = ("plot_training_progress.ipynb", "vae_test.ipynb", "simple_es_example.ipynb")
SHIPPED = HERE.parent / "doomrnn" / "tf_models" / "vae.json"

# What the last cell of each executed notebook hands to the test.
CURVES = """
import json, sys
def lines(figure):
    axes, = figure.axes
    drawn = [(line.get_label(), line.get_xydata().tolist()) for line in axes.get_lines()]
    return {"size": list(figure.get_size_inches()), "lines": drawn, "xlabel": axes.get_xlabel()}
with open(RESULT, "w") as file:
    json.dump([sys.prefix, lines(by_hours), lines(by_generation)], file)
"""
PICTURES = """
images = {
    f"{name}_{i}": axes.get_images()[0].get_array()
    for name, figure in (("one", figure_one), ("row", figure_row), ("grid", figure_grid))
    for i, axes in enumerate(figure.axes) if axes.get_images()
}
bars = [bar.get_height() for bar in figure_one.axes[1].patches]
ticks = [label.get_text() for label in figure_grid.axes[0].get_yticklabels()]
np.savez(RESULT, frames=frames, mu=mu, z=z, widest=widest, bars=bars, ticks=ticks, **images)
"""


def execute(name, folder, parameters, last="", again=None, start=""):
    """The notebook `name`, run with other `parameters` and the code `last` after its end.

    With `again`, still other parameters, the cells from the one named `start` on run once more.
    `folder` keeps what Jupyter and IPython write. The kernel is this very interpreter, whatever
    kernels the machine knows. Returns the executed notebook, also where one of its cells failed.
    """
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    spec |= {"display_name": "this interpreter", "language": "python"}
    (folder / "kernels" / "here").mkdir(parents=True, exist_ok=True)
    (folder / "kernels" / "here" / "kernel.json").write_text(json.dumps(spec))
    kernels = KernelSpecManager(kernel_dirs=[str(folder / "kernels")], ensure_native_kernel=False)
    kernel = AsyncKernelManager(kernel_name="here", kernel_spec_manager=kernels)

    notebook = nbformat.read(HERE / name, 4)
    names = [cell.id for cell in notebook.cells]
    place = names.index("parameters") + 1
    extra = copy.deepcopy(notebook.cells[names.index(start) :]) if again else []
    notebook.cells.insert(place, assignments(parameters))
    notebook.cells.append(nbformat.v4.new_code_cell(last))
    if again:
        notebook.cells += [assignments(again), *extra, nbformat.v4.new_code_cell(last)]
    resources = {"metadata": {"path": str(HERE)}}
    client = NotebookClient(notebook, km=kernel, timeout=300, resources=resources)
    try:
        client.execute(cleanup_kc=True)  # a kernel manager of ours is otherwise left running
    except CellExecutionError as error:
        notebook.metadata["failure"] = str(error)
    return notebook


def assignments(values):
    return nbformat.v4.new_code_cell("\n".join(f"{key} = {values[key]!r}" for key in values))


@pytest.fixture(autouse=True)
def jupyter_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


def printed(notebook):
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "".join(out.text for out in outputs if out.output_type == "stream")


def picture_count(notebook):
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return sum("image/png" in out.get("data", {}) for out in outputs)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_outputs_in_git_and_a_text_before_every_cell(name):
    notebook = nbformat.read(HERE / name, 4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown"
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert [cell.id for cell in notebook.cells if cell.metadata.get("tags")] == ["parameters"]


def make_log(folder, game):
    """Evolve five numbers for 6 generations; half an hour each, says the log. Returns its base."""
    parser = cli.parser("")
    evolve.add_arguments(parser)
    flags = ["-n", "1", "--population", "6", "-e", "3", "--eval_steps", "2", "--seed_start", "5"]
    args = cli.parse(parser, argv=[*flags, "--generations", "6", "--directory", str(folder)])
    evolve.run(args, mpi.Ranks(), game, 5, toy.make_rollouts(0, None))
    base = folder / "log" / f"{game}.cma.3.6"
    for suffix in (".hist.json", ".hist_best.json"):
        path = base.with_name(base.name + suffix)
        rows = [[row[0], 1800 * row[0], *row[2:]] for row in json.loads(path.read_text())]
        path.write_text(json.dumps(rows))
    return base


@pytest.mark.parametrize(
    ("game", "requirement"),
    [("carracing", 900), ("doomrnn", None), ("BipedalWalker-v3", 300), ("Ant-v5", None)],
)
def test_training_progress_draws_the_log(tmp_path, game, requirement):
    base = make_log(tmp_path, game)
    parameters = {"BASE": str(base), "RESULT": str(tmp_path / "result.json")}
    notebook = execute(NOTEBOOKS[0], tmp_path, parameters, CURVES)
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 2
    prefix, by_hours, by_generation = json.loads((tmp_path / "result.json").read_text())
    assert Path(prefix).samefile(sys.prefix)

    rows = json.loads((tmp_path / "log" / f"{base.name}.hist.json").read_text())
    evaluations = json.loads((tmp_path / "log" / f"{base.name}.hist_best.json").read_text())
    scores = [row[5] for row in evaluations]
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row[0] for row in evaluations] == [2, 4, 6]
    for figure, label, unit in ((by_hours, "hours", 0.5), (by_generation, "generation", 1)):
        every, each = [unit * row[0] for row in rows], [unit * row[0] for row in evaluations]
        expected = {
            "mean": list(zip(every, [row[2] for row in rows], strict=True)),
            "min": list(zip(every, [row[3] for row in rows], strict=True)),
            "max": list(zip(every, [row[4] for row in rows], strict=True)),
            "evaluation of the mean": list(zip(each, scores, strict=True)),
            "running best": list(zip(each, np.maximum.accumulate(scores), strict=True)),
        }
        drawn = dict(figure["lines"])
        level = drawn.pop("requirement", None)
        assert list(drawn) == list(expected)
        for name, points in expected.items():
            np.testing.assert_allclose(drawn[name], points, atol=1e-9, err_msg=name)
        assert (level and [y for _, y in level]) == (requirement and [requirement, requirement])
        assert figure["xlabel"] == label and figure["size"] == [16, 10]

    for suffix, label in ((".wall.svg", "hours"), (".svg", "generation")):
        path = tmp_path / "log" / f"{base.name}{suffix}"
        root = ElementTree.parse(path).getroot()
        width, height = (float(root.get(name).removesuffix("pt")) for name in ("width", "height"))
        assert abs(width - 16 * 72) < 30 and abs(height - 10 * 72) < 30
        legend = [*expected, "requirement"][: 5 + (requirement is not None)]
        comments = re.findall("<!-- (.*?) -->", path.read_text())
        assert set(legend) | {base.name, label, "reward"} <= set(comments)
    assert "6 generations in 3.00 hours\n" in printed(notebook)
    best = int(np.argmax(scores))
    assert f"best of 3 evaluations: {scores[best]:.1f} at {2 * best + 2}\n" in printed(notebook)


EVOLUTION = """
import json
import os
def curves(axes):
    return {line.get_label(): list(map(float, line.get_ydata())) for line in axes.get_lines()}
points = [axes.get_lines()[1].get_xydata().tolist() for axes in figure_strip.axes]
with open(RESULT, "w") as file:
    json.dump([curves(figure_curves.axes[0]), points, SLICE.tolist()], file)
"""


def test_the_strategies_climb_and_are_drawn(tmp_path):
    parameters = {"SIZE": 20, "POPULATION": 41, "GENERATIONS": 400}
    parameters["RESULT"] = str(tmp_path / "result.json")
    notebook = execute("simple_es_example.ipynb", tmp_path, parameters, EVOLUTION)
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 3
    curves, points, slice_ = json.loads((tmp_path / "result.json").read_text())
    assert curves.pop("optimum") == [0, 0]
    assert list(curves) == ["genetic algorithm", "OpenAI-ES", "PEPG", "CMA-ES"]
    for name, values in curves.items():
        assert len(values) == 400 and values[0] < -1800 and -200 < values[-1] <= 0
        assert f"{name:17}  {values[-1]:8.1f} after 400 generations\n" in printed(notebook)
    clouds = np.array(points)
    assert clouds.shape == (4 * 6, 41, 2)
    for row in clouds.reshape(4, 6, 41, 2):
        centres = row.mean(1)
        assert np.abs(centres[0]).max() < 1 and np.abs(centres[-1] - 10).max() < 3
    top = np.unravel_index(np.argmax(slice_), np.shape(slice_))
    np.testing.assert_allclose(np.linspace(-4, 20, 481)[list(top)], 10)


def test_a_missing_log_is_a_sentence(tmp_path):
    notebook = execute(NOTEBOOKS[0], tmp_path, {"BASE": str(tmp_path / "log" / "car.cma.1.2")})
    assert f"There is no {tmp_path}/log/car.cma.1.2.hist.json: set BASE" in str(notebook.metadata)
    errors = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert [(out.output_type, len(out.traceback)) for out in errors] == [("error", 1)]
    assert "Traceback" not in errors[0].traceback[0]
    assert not (tmp_path / "log").exists()


@pytest.fixture(scope="module")
def vae_module():
    return import_v()


def import_v():
    """V's module, which is the same in both rooms; here, because it starts TensorFlow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE.parent / "doomrnn")
        return importlib.import_module("vae")


def random_weights(path, vae_module, z_size):
    """A vae.json of random weights, large enough that its frames differ by more than a level."""
    rng = np.random.default_rng(z_size)
    shapes = vae_module.shapes(z_size)
    fans = [np.prod(shape[:-2]) * shape[-1] if len(shape) > 1 else 100 for shape in shapes]
    arrays = [
        rng.standard_normal(shape) / np.sqrt(fan) for shape, fan in zip(shapes, fans, strict=True)
    ]
    save_weights(path, arrays)
    return str(path)


def to_uint8(frames):
    return np.rint(frames * 255).astype(np.uint8)


def as_frames(picture):
    """Frames (rows, columns, 64, 64, 3) of a picture of them."""
    height, width, _ = picture.shape
    return picture.reshape(height // 64, 64, width // 64, 64, 3).swapaxes(1, 2)


def check_pictures(result, vae, episodes):
    """What was drawn, against what V makes of the frames here."""
    frames, mu, z = result["frames"], result["mu"], result["z"]
    assert frames.shape == (25 * episodes, 64, 64, 3) and frames.dtype == np.uint8
    mu_here, logvar = vae.encode(frames)
    np.testing.assert_allclose(mu, mu_here, atol=1e-4)
    noise = (z - mu) / np.exp(logvar / 2)
    assert abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1

    # one frame: input, bars of z, reconstruction; then ten frames over their reconstructions
    assert (result["one_0"] == frames[0]).all() and "one_1" not in result
    np.testing.assert_allclose(result["bars"], z[0])
    np.testing.assert_allclose(result["one_2"], to_uint8(vae.decode(z[:1]))[0], atol=1)
    row = as_frames(result["row_0"])
    assert row.shape[:2] == (2, 10) and (row[0] == frames[:10]).all()
    np.testing.assert_allclose(row[1], to_uint8(vae.decode(z[:10])), atol=1)

    # six latents of the largest spread, nine values each, the other latents those of frame 0
    spread = mu.std(0)
    widest = result["widest"]
    assert sorted(widest) == sorted(np.argsort(spread)[-6:])
    assert result["ticks"].tolist() == [f"z[{latent}]" for latent in widest]
    grid = as_frames(result["grid_0"])
    assert grid.shape[:2] == (6, 9)
    for row, latent in enumerate(widest):
        for column, offset in ((0, -2), (4, 0), (7, 1.5)):
            turned = mu[0].copy()
            turned[latent] = mu[:, latent].mean() + offset * spread[latent]
            expected = to_uint8(vae.decode(turned[None]))[0]
            np.testing.assert_allclose(grid[row, column], expected, atol=1)


def test_vae_of_doom_looks_at_the_real_game_on_a_fresh_clone(tmp_path, vae_module):
    weights = str(SHIPPED)
    parameters = {"EPISODES": 2, "SEED": 5, "RECORD": str(tmp_path), "RESULT": f"{tmp_path}/r.npz"}
    if not SHIPPED.exists():
        weights = parameters["WEIGHTS"] = random_weights(tmp_path / "vae.json", vae_module, 64)
    notebook = execute(NOTEBOOKS[1], tmp_path, {"ROOM": "doomrnn"} | parameters, PICTURES)
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 3
    assert "64 latents, 4,446,915 parameters" in printed(notebook)
    assert "50 frames of 2 episodes from the game itself" in printed(notebook)
    with np.load(tmp_path / "r.npz") as result:
        check_pictures(result, vae_module.VAE(64).load(weights), 2)
        frames = result["frames"].astype(float)
    # take_cover's floor: gray, and not black, in the lowest rows of most frames
    floor = np.median(frames[:, 58:], axis=(0, 1, 2))
    assert floor.min() > 30 and np.ptp(floor) < 15


def test_vae_of_carracing_from_recordings_and_from_the_game(tmp_path, vae_module):
    weights = random_weights(tmp_path / "vae.json", vae_module, 32)
    drawn = np.random.default_rng(0).integers(0, 256, (3, 30, 64, 64, 3), np.uint8)
    for number, episode in enumerate(drawn):
        path = tmp_path / "record" / f"{number}.npz"
        recordings.save(path, obs=episode, action=np.zeros((30, 3), np.float16))
    parameters = {"ROOM": "carracing", "WEIGHTS": weights, "RECORD": f"{tmp_path}/record"}
    parameters |= {"EPISODES": 2, "SEED": 5, "RESULT": f"{tmp_path}/recorded.npz"}
    again = {"RECORD": f"{tmp_path}/empty", "RESULT": f"{tmp_path}/game.npz"}
    notebook = execute(NOTEBOOKS[1], tmp_path, parameters, PICTURES, again, "frames")
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 6
    assert "32 latents, 4,348,547 parameters" in printed(notebook)
    vae = vae_module.VAE(32).load(weights)
    with np.load(tmp_path / "recorded.npz") as result:
        check_pictures(result, vae, 2)
        frames = result["frames"]
    # of two of the three recordings
    known = [{frame.tobytes() for frame in episode} for episode in drawn]
    found = [[frame.tobytes() in episode for episode in known] for frame in frames]
    assert sorted(np.sum(found, axis=0)) == [0, 25, 25]
    with np.load(tmp_path / "game.npz") as result:
        check_pictures(result, vae, 2)
        greenest = result["frames"].argmax(-1) == 1  # grass
    assert 0.3 < greenest.mean() < 0.99


def test_an_unknown_room_is_a_sentence(tmp_path):
    notebook = execute(NOTEBOOKS[1], tmp_path, {"ROOM": "doom"})
    assert 'expected "doomrnn" or "carracing", found "doom"' in notebook.metadata["failure"]


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
