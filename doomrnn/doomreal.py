"""The real game: VizDoom's take_cover as the paper's experiment sees it.

Skill 4, one tic a step, no head-up display, reward 1 a step, the end at 2100 steps; of each picture
the upper five sixths (rows 0:400 of 480), shrunk to 64x64. An importable module, no command;
`python model.py doomreal render ...` watches an agent in it.
"""

import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import cv2
import gymnasium
import numpy as np

from kit.command import interrupts, memory
from kit.command.errors import UserError

from world import FPS, MAX_STEPS, ROWS, SKILL, discretise

FRAME = (64, 64)
# rows of the picture: VizDoom's name
RESOLUTIONS = {120: "RES_160X120", 240: "RES_320X240", 480: "RES_640X480"}


class DoomReal(gymnasium.Env):
    """One game in a separate process; deterministic for a seed and a list of actions.

    Observation: uint8 (64, 64, 3), RGB; all zeros after the end, where the game has no picture.
    Action: float32 (1,), below -1/3 steps left, above 1/3 steps right, else stays.
    `rows` is the height that the game draws at. The agents were trained on 240. 480 is slower, and
    for people to look at.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS}  # noqa: RUF012 (gymnasium's form)
    observation_space = gymnasium.spaces.Box(0, 255, (*FRAME, 3), np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, rows: int = ROWS, render_mode: str | None = "rgb_array"):
        self.render_mode = render_mode
        self.steps = 0
        picture = 4 * rows * rows + 2**15  # VizDoom would be ended by a signal at its first write
        memory.require_shared(picture, "another game of VizDoom", "--batch, --workers or -n")
        self.screen = np.zeros((rows, rows * 4 // 3, 3), np.uint8)  # the whole picture
        # The game leaves its config file there. First the guard: what it is to remove comes after.
        self._folder = str(Path(tempfile.gettempdir()) / f"doomreal-{uuid.uuid4().hex}")
        self._guard = _guard(self._folder)
        Path(self._folder).mkdir(mode=0o700)
        self._game = _start_game(RESOLUTIONS[rows], self._folder)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(2**31))
        self._game.set_seed(int(seed))
        self._game.new_episode()
        self.steps = 0
        return self._observe(), {}

    def step(self, action):
        move = discretise(np.reshape(action, -1)[0])
        self._game.make_action([bool(move < 0), bool(move > 0)], 1)
        self.steps += 1
        died = self._game.is_episode_finished()
        return self._observe(), 1.0, died, self.steps >= MAX_STEPS, {}

    def render(self) -> np.ndarray:
        """The whole picture as the game drew it last, uint8 (rows, columns, 3)."""
        return self.screen

    def position(self) -> float:
        """Where the player stands between the walls, 16 (the right one) to 752, in map units."""
        from vizdoom import GameVariable

        return self._game.get_game_variable(GameVariable.POSITION_Y)

    def close(self):
        self._game.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._guard.kill()  # last: where this is interrupted, the guard does the rest
        self._guard.communicate()

    def _observe(self) -> np.ndarray:
        state = self._game.get_state()
        if state is None:
            return np.zeros((*FRAME, 3), np.uint8)
        self.screen = state.screen_buffer
        return crop(self.screen)


def crop(screen: np.ndarray) -> np.ndarray:
    """What the agent sees of a picture (rows, columns, 3): uint8 (64, 64, 3)."""
    return cv2.resize(screen[: len(screen) * 5 // 6], FRAME, interpolation=cv2.INTER_AREA)


def _start_game(resolution: str, folder: str):
    """A vizdoom.DoomGame; UserError where VizDoom does not start."""
    import vizdoom  # here, because where it is missing everything else works

    game = vizdoom.DoomGame()
    game.load_config(str(Path(vizdoom.scenarios_path) / "take_cover.cfg"))
    game.set_doom_skill(SKILL)
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, resolution))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_render_hud(False)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_episode_timeout(0)  # the steps are counted here
    game.set_available_buttons([vizdoom.Button.MOVE_LEFT, vizdoom.Button.MOVE_RIGHT])
    game.set_doom_config_path(str(Path(folder) / "vizdoom.ini"))
    home = Path.cwd()
    os.chdir(folder)  # the game makes a folder in the one that it is started in
    try:
        with interrupts.held():  # Ctrl-C at its start would crash it
            game.init()
    except (vizdoom.ViZDoomErrorException, vizdoom.ViZDoomUnexpectedExitException) as error:
        raise UserError(f"VizDoom does not start: {error}") from error
    finally:
        os.chdir(home)
    return game


# Ends the game whose folder is $1 when this process has died, however: waits for a pipe to close.
# Twice, because the game may just have been starting. Its shared memory is named by `id`; before
# the game itself has started nobody knows that, and it is ours and newer and used by no process.
GUARD = """
read _
for pause in 2 0; do
    for process in /proc/[0-9]*; do
        words=$(tr '\\0' ' ' <"$process/cmdline")
        case $words in *" $1/vizdoom.ini "*)
            id=${words#*+viz_instance_id }
            kill -9 "${process#/proc/}"
            rm -f "/dev/shm/ViZDoom"*"${id%% *}" ;;
        esac
    done
    pkill -9 -f " $1/vizdoom.ini "  # where there is no /proc
    for memory in /dev/shm/ViZDoom*; do
        if [ -O "$memory" ] && [ "$memory" -nt "$1" ]; then
            grep -qsF "$memory" /proc/[0-9]*/maps || rm -f "$memory"
        fi
    done
    rm -rf "$1"
    sleep $pause
done
"""


def _guard(folder: str) -> subprocess.Popen:
    """A shell that ends the game in `folder` when this process has died.

    VizDoom's own process would wait for its next move for ever after a kill -9, and leave its
    shared memory and its folder.
    """
    return subprocess.Popen(
        ["sh", "-c", GUARD, "sh", folder],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
