"""V, M and C together: the agent, many episodes of it at once.

An importable module, no command. Shapes: B rows, Z latents, H cells of M, O outputs of C.
"""

from pathlib import Path

import numpy as np

from kit.batches.mixtures import expected_z
from kit.batches.rows import take_rows, whole_blocks
from kit.command.errors import UserError
from kit.files.weights import load_controller

from config import Config
from env import Games
from models import Memory, load_memory, load_vision
from rnn import FastStep, Rows
from vae import VAE
from world import Actions

ROW_BYTES = 30e6  # of a game, its frames and V's layers for them, about


class Controllers:
    """K controllers C, each a row of parameters; row by row of a batch another one may act.

    Linear, as the paper's: of each output a bias first, then a weight for each input. `inputs`
    names what is seen of an observation [z, c, h].
    """

    def __init__(self, parameters: np.ndarray, config: Config, actions: Actions):
        """`parameters` (K, P), P as `size` says."""
        parameters = np.asarray(parameters, np.float32)
        assert parameters.ndim == 2 and parameters.shape[1] == self.size(config, actions)
        self.parameters, self._actions = parameters, actions
        z_size, hidden = config.vae.latent_space_dim, config.rnn.hidden_units
        parts = {"z": slice(0, z_size), "c": slice(z_size, z_size + hidden)}
        parts["h"] = slice(z_size + hidden, z_size + 2 * hidden)
        self._parts = [parts[letter] for letter in config.es.inputs]
        self._pairs, self._weights = None, None

    @staticmethod
    def size(config: Config, actions: Actions) -> int:
        """P, the parameters of a controller."""
        inputs = config.vae.latent_space_dim
        inputs += config.rnn.hidden_units * (len(config.es.inputs) - 1)
        return (inputs + 1) * actions.outputs

    def act(self, observation: np.ndarray, controllers: np.ndarray) -> np.ndarray:
        """Recorded actions (B, D) on [z, c, h] (B, Z + 2H) by `controllers`, int64 (B,)."""
        if controllers is not self._pairs:  # the same rows act until one of them ends
            weights = self.parameters[controllers].reshape(
                len(controllers), -1, self._actions.outputs
            )
            self._pairs, self._weights = controllers, weights
        start, total = 1, self._weights[:, 0]
        for part in self._parts:
            width = part.stop - part.start
            weights = self._weights[:, start : start + width]
            # a batch of small products, row by row: a row's company does not change its bits
            total = total + np.einsum("bo,boa->ba", observation[:, part], weights)
            start += width
        return self._actions.choose(total)


class WorldModel:
    """V and M of a config, from the files that it names or from others."""

    def __init__(self, vae: VAE, memory: Memory, actions: Actions):
        self.vae, self.memory, self.actions = vae, memory, actions

    @classmethod
    def load(
        cls,
        config: Config,
        actions: Actions,
        vae_path: Path | None = None,
        mdn_path: Path | None = None,
        precision: str = "float32",
    ) -> "WorldModel":
        """Raises UserError naming the file that is missing, damaged or of another config."""
        vae = load_vision(vae_path or Path(config.vae.ckpt_path), config, precision)
        path = mdn_path or Path(config.rnn.ckpt_path)
        return cls(vae, load_memory(path, config, actions.size), actions)


def mind_path(config: Config, suffix: str) -> Path:
    """The file of C's weights: `_best` or `_mean` before the suffix of es_training.mind_path."""
    path = Path(config.es.mind_path)
    return path.with_name(f"{path.stem}{suffix}{path.suffix}")


def load_mind(path: Path, config: Config, actions: Actions) -> np.ndarray:
    """C's parameters (P,); UserError where the file is missing or of another size."""
    if not Path(path).exists():
        raise UserError(f"{path}: there is no such file: train_ctrl writes it")
    return load_controller(path, Controllers.size(config, actions))


class RealWorld:
    """Many real games in lockstep, seen through V and M: the `world` of rollout.py.

    observation: float32 (B, Z + 2H), [z, c, h]; z is V's mean. M advances after each action, where
    C sees any of it (`config.es.inputs`) or `foresees`. A row's company does not change its bits.
    frames, terminated: as env.Games has them
    """

    def __init__(
        self, model: WorldModel, config: Config, precision: str = "float32", foresees: bool = False
    ):
        self.vae, self._games = model.vae, Games(config.general)
        self.limit = self._games.limit
        self._moves = foresees or config.es.inputs != "z"
        self._z = slice(0, config.vae.latent_space_dim)
        self._hidden = config.rnn.hidden_units
        self._rows = Rows(FastStep(model.memory.rnn, precision))
        width = config.vae.latent_space_dim + 2 * self._hidden
        self.observation = np.empty((0, width), np.float32)

    @property
    def frames(self) -> np.ndarray:
        return self._games.frames

    @property
    def terminated(self) -> np.ndarray:
        return self._games.terminated

    def start(self, seeds) -> None:
        """Append a game for each of `seeds` (n,)."""
        old = len(self.observation)
        self._games.start(seeds)
        self._rows.start(len(seeds))
        zeros = np.zeros((len(seeds), self.observation.shape[1]), np.float32)
        self.observation = np.concatenate((self.observation, zeros))
        self.observation[old:, self._z] = self._encode(self.frames[old:])

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every row by recorded actions (B, D): reward float64 (B,), done bool (B,)."""
        reward, done = self._games.step(actions)
        if self._moves:
            self._rows.advance(self.observation[:, self._z], self._games.actions.encode(actions))
            self.observation[:, -2 * self._hidden : -self._hidden] = self._rows.c
            self.observation[:, -self._hidden :] = self._rows.h
        self.observation[:, self._z] = self._encode(self.frames)
        return reward, done

    def expected(self) -> np.ndarray:
        """What M expected of the last step: the mean of its latents, float32 (B, Z)."""
        return expected_z(self._rows.predict().mixture)

    def keep(self, rows: np.ndarray) -> None:
        """Row i becomes what was row `rows[i]`; the others leave."""
        self._games.keep(rows)
        self._rows.keep(rows)
        self.observation = take_rows(self.observation, rows)

    def close(self) -> None:
        self._games.close()

    def _encode(self, frames: np.ndarray) -> np.ndarray:
        return self.vae.encode(in_colour(whole_blocks(frames)))[0][: len(frames)]


def in_colour(frames: np.ndarray) -> np.ndarray:
    """Frames as V takes them, uint8 (B, 64, 64, 3): a grey one three times the same."""
    frames = frames if frames.dtype == np.uint8 else np.clip(np.rint(frames), 0, 255)
    frames = frames.astype(np.uint8, copy=False)
    return frames if frames.shape[-1] == 3 else frames.repeat(3, axis=-1)
