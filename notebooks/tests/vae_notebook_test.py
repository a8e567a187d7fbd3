"""vae_test.ipynb, executed: what it draws is what V makes of the frames."""

import numpy as np
import pytest
from running import HERE, execute, import_v, picture_count, printed

from kit.files import recordings
from kit.files.weights import save_weights

NAME = "vae_test.ipynb"
SHIPPED = HERE.parent / "doomrnn" / "tf_models" / "vae.json"

# What the last cell hands to the test.
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


@pytest.fixture(scope="module")
def vae_module():
    return import_v()


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
    notebook = execute(NAME, tmp_path, {"ROOM": "doomrnn"} | parameters, PICTURES)
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
    notebook = execute(NAME, tmp_path, parameters, PICTURES, again, "frames")
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
    notebook = execute(NAME, tmp_path, {"ROOM": "doom"})
    assert 'expected "doomrnn" or "carracing", found "doom"' in notebook.metadata["failure"]
