"""build_your_own_world_model: executed at small sizes, and each step's numbers checked."""

import re

import gymnasium
import nbformat
import numpy as np
import pytest
from notebooks_test import test_no_outputs_in_git_and_a_text_before_every_cell as check_clean
from running import HERE, execute, picture_count, printed

NAME = "build_your_own_world_model.ipynb"
SMALL = {"EPISODES": 4, "DECISIONS": 20, "VAE_EPOCHS": 20, "RNN_EPOCHS": 5, "GENERATIONS": 2}
SMALL |= {
    "DREAM_GENERATIONS": 2,
    "GAMES": 4,
    "LENGTH": 6,
    "PATIENCE": 20,
    "TEST_LENGTH": 9,
    "SEED": 3,
}

# What the last cell hands to the test: what was made, and one deed of each part.
LAST = """
track = Track()
first, _ = track.reset(seed=7)
steps = [track.step(np.array([0.1, 0.5, 0], np.float32)) for _ in range(5)]
paid = np.array([step[1] for step in steps])
track.reset(seed=7, options={"patience": 3})
still = [track.step(np.array([0, 0, 1], np.float32))[1:3] for _ in range(6)]
rows = np.zeros((3, 1, 3 * MIXTURES * LATENTS + 1), np.float32)
rows[1, 0, 2 * MIXTURES * LATENTS : -1] = 1  # bells e times as wide
rows[2, 0, -1] = 2  # a wrong reward
nothing = np.zeros((3, 1, LATENTS + 1), np.float32)
one = np.random.default_rng(0).standard_normal((2, 51))
z, h = mu[:2, 0], h_after[:2, 0]
sequences = pairs(slice(None))[0]
memory = [np.zeros((EPISODES, CELLS), np.float32)] * 2
for t in range(3):
    *memory, guess_of_step = step_of_m.predict_on_batch([sequences[:, t], *memory])
np.savez(
    RESULT, first=first, last=steps[-1][0], paid=paid, still=still, frames=frames, actions=actions,
    rewards=rewards, alive=alive, surprises=surprise(nothing, rows), one=one, z=z, h=h,
    centre=centre, scale=scale, project=project, acted=act(one, z, h), film=film, calm=calm,
    by_steps=guess_of_step, at_once=rnn.predict(sequences[:, :3], verbose=0)[:, -1],
    rebuilt=rebuilt, looks=looks, dreamer=dreamer, driver=driver,
    vae=vae_curves["held out"], rnn=rnn_curves["train"], track=track_curves["mean"],
    **{f"score {name}": values for name, values in scores.items()},
)
"""


def test_no_outputs_in_git():
    check_clean(NAME)


def test_the_ten_steps_stand_in_order():
    titles = [
        re.findall(r"^## Step (\d+)\. ", "".join(cell.source), re.MULTILINE)
        for cell in nbformat.read(HERE / NAME, 4).cells
    ]
    assert [int(number) for found in titles for number in found] == list(range(1, 11))


def test_code_of_the_rooms_is_imported_in_the_last_code_cell_alone():
    sources = [
        cell.source for cell in nbformat.read(HERE / NAME, 4).cells if cell.cell_type == "code"
    ]
    pattern = r"^\s*(?:from|import) (?:kit|estool|agent|env|vae|rnn|world|policies)\b"
    found = [bool(re.search(pattern, source, re.MULTILINE)) for source in sources]
    assert found == [False] * (len(sources) - 1) + [True]


@pytest.mark.parametrize("seed", [7])
def test_every_step_does_what_its_text_says(tmp_path, seed):
    parameters = SMALL | {"RESULT": str(tmp_path / "result.npz")}
    notebook = execute(NAME, tmp_path, parameters, LAST)
    assert "failure" not in notebook.metadata, notebook.metadata
    assert picture_count(notebook) == 9
    with np.load(tmp_path / "result.npz") as file:
        result = dict(file)

    # the environment: gymnasium's own game, four frames a decision
    game = gymnasium.make("CarRacing-v3").unwrapped
    game.reset(seed=seed)
    action = np.array([0.1, 0.5, 0], np.float32)
    paid = [sum(game.step(action)[1] for _ in range(4)) for _ in range(5)]
    np.testing.assert_allclose(result["paid"], paid)
    middle = game.state[30:60, 20:76].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(result["last"][23:46, 13:51].reshape(-1, 3).mean(0), middle, atol=3)
    game.close()
    # a car that stands: the start's tiles, three decisions of patience, then nothing more
    rewards, over = result["still"].T
    assert over.tolist() == [0, 0, 0, 1, 1, 1] and rewards[0] > 0
    np.testing.assert_allclose(rewards[1:], [-0.4, -0.4, -0.4, 0, 0])

    # rollouts: gas at the start, actions in range, pictures that move
    frames, actions, rewards = result["frames"], result["actions"], result["rewards"]
    assert frames.shape == (4, 21, 64, 64, 3) and (result["alive"] == 1).all()
    assert (actions[:, :12, 1] >= 0.2).all() and (actions[:, :12, 2] == 0).all()
    assert (np.abs(actions[..., 0]) <= 1).all() and (actions[..., 1:] >= 0).all()
    assert (frames[:, 1:] != frames[:, :-1]).any((2, 3, 4)).all()
    assert (rewards.max(1) > 2).all() and rewards.min() >= -0.4001

    # V learns; M's surprise is that of a standard bell curve where its guess is one
    assert result["vae"][-1] < 0.85 * result["vae"][0]
    assert result["rnn"][-1] < result["rnn"][0]
    bell = np.log(2 * np.pi) / 2
    np.testing.assert_allclose(result["surprises"][:, 0], [bell, bell + 1, bell + 4], rtol=1e-5)
    np.testing.assert_allclose(result["by_steps"], result["at_once"], atol=1e-4)

    # C: its weighted sums, candidate by candidate
    numbers = (np.hstack((result["z"], result["h"])) - result["centre"]) / result["scale"]
    for row, weights in enumerate(result["one"].reshape(2, 17, 3)):
        steer, gas, brake = np.tanh(numbers[row] @ result["project"] @ weights[1:] + weights[0])
        expected = steer, (gas + 1) / 2, max(brake, 0)
        np.testing.assert_allclose(result["acted"][row], expected, atol=1e-4)
    assert np.abs(result["dreamer"]).max() > 0
    assert not np.array_equal(result["driver"], result["dreamer"])
    assert len(result["track"]) == 2

    # scores: whole drives, and the shipped agent on the same tracks
    assert result["film"].shape == (10, 64, 64, 3) and result["calm"].shape == (101, 64, 64, 3)
    names = "random", "C of the dream", "C of the track", "shipped agent"
    for name in names:
        values = result[f"score {name}"]
        assert values.shape == (4,) and (values >= -4).all() and (values < 200).all()
        assert f"{name:18} {values.mean():6.1f} ± {values.std():.1f}\n" in printed(notebook)


def test_commands_of_the_table_know_their_flags():
    """Each `python x.py --flag` of the table, and each flag that it calls the same."""
    rows = next(c for c in nbformat.read(HERE / NAME, 4).cells if c.id == "commands").source
    room = HERE.parent / "carracing"
    code = {path.name: path.read_text() for path in room.glob("*.py")}
    shared = "".join(
        (HERE.parent / f).read_text() for f in ("estool/evolve.py", "kit/show/viewer.py")
    )
    shared += (HERE.parent / "kit/files/recordings.py").read_text()
    commands = re.findall(r"`python (\w+\.py)([^`]*)`", rows)
    assert len(commands) >= 10
    for script, rest in commands:
        for flag in re.findall(r"--\w+", rest):
            assert f'"{flag}"' in code[script] + shared, (script, flag)
    same = re.findall(r"^\| `(-.*?)` \| the same", rows, re.MULTILINE)
    flags = [flag for cell in same for flag in re.findall(r"--?\w+", cell)]
    assert len(flags) == 9
    for flag in flags:
        assert f'"{flag}"' in code["train.py"] + shared, flag
