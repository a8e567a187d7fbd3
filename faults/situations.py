"""Where users really are: no screen, a container, a pipe, an odd locale, an environment of theirs.

As surroundings.py: a function returns how many things it tried and what went wrong; one whose
situation cannot be made here tries nothing.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from interruptions import ROOT, Rooms, compare, stages
from processes import Command, Ended
from refusals import refused

TOY = ["python", str(ROOT / "estool/study/toy.py"), "--population", "9", "--eval_steps", "5"]
NOWHERE = {"SDL_VIDEODRIVER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
LOCALES = ("de_", "fr_", "es_", "it_", "pl_", "pt_", "ru_")  # they write 0,5
COMMA = ("carracing extract.py", "doomrnn extract.py", "doomrnn series.py", "estool toy.py")
COMMA += ("anyenv record_data",)
ZSH = ("nounset", "errexit", "kshglob", "shwordsplit", "noclobber", "nonomatch", "extendedglob")
# Commands that promise a window, and what each is to advise.
WINDOWS = (
    ("carracing", ["env.py"], "ssh -X"),
    ("carracing", ["dream_env.py"], "ssh -X"),
    ("carracing", ["model.py", "render"], "--video"),
    ("carracing", ["dream_model.py"], "--video"),
    ("doomrnn", ["doomrnn.py"], "ssh -X"),
    ("doomrnn", ["model.py", "doomreal", "render"], "--video"),
    ("doomrnn", ["model.py", "doomrnn", "render"], "--video"),
    ("estool", ["model.py", "cartpole_swingup"], "--video"),
)
# What `step` or `reset` of an environment may do wrong, and what is said of it.
OWN = """import gymnasium, numpy as np
class Own(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, {reset}):
        return {first}
    def step(self, action):
        return {result}
gymnasium.register("Own-v0", Own)
"""
GOOD = {"reset": "*, seed=None, options=None", "first": "np.zeros(3), {}"}
GOOD |= {"result": "np.zeros(3), 1.0, True, False, {}"}
WRONG = (
    ("result", "np.zeros(3), 1.0, False, {}", "a tuple of 4"),
    ("result", "np.zeros(3), np.ones(2), True, False, {}", "as reward"),
    ("result", "np.zeros(3), np.nan, True, False, {}", "returned nan"),
    ("result", "np.full(3, np.nan), 1.0, True, False, {}", "finite observations"),
    ("result", "np.zeros(4), 1.0, True, False, {}", "shape (3,)"),
    ("first", "np.zeros(3)", "(observation, info)"),
    ("reset", "", "found no seed"),
)


def no_screen(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A window is asked for, nobody has a screen, and nobody has chosen SDL's driver."""
    room, words, advice = WINDOWS[rng.integers(len(WINDOWS))]
    command = ["python", str(ROOT / room / words[0]), *words[1:]]
    ended = Command(command, ROOT / room, environment=NOWHERE, outside=folder).wait(120)
    faults = refused(ended, "there is no screen") + refused(ended, advice)
    return 1, [f"{room} {words}: {fault}" for fault in faults]


def small_shared_memory(rooms: Rooms, rng, folder: Path) -> tuple[int, list[str]]:
    """A container's /dev/shm: ranks and games that do not fit are refused, and nothing is left."""
    count = int(rng.integers(5, 60))
    size = int(count * rng.uniform(0.3, 0.9))  # megabytes
    run = f'mount -t tmpfs -o size={size}m tmpfs /dev/shm && "$@"; s=$?; ls -A /dev/shm; exit $s'
    alone = ["unshare", "-m", "bash", "-c", run, "bash"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        return 0, []
    command = [*alone, sys.executable, *TOY[1:], "-n", str(count)]
    return 1, refused(Command(command, folder).wait(), "shared memory, and /dev/shm has")


def reader_gone(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """`train.py | head -n N`: quiet, with the shell's status for it."""
    lines, ranks = int(rng.integers(1, 6)), str(rng.integers(1, 4))
    line = shlex.join([sys.executable, *TOY[1:], "-n", ranks])
    script = f"{line} | head -n {lines}; exit ${{PIPESTATUS[0]}}"
    ended = Command(["bash", "-c", script], folder, 2).wait(300)
    return 1, _quiet(ended, 141, lines)


def closed_streams(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """Standard input, output and error closed in any combination: the work is done."""
    closed = [text for text in ("<&-", ">&-", "2>&-") if rng.random() < 0.6] or [">&-"]
    ranks = str(rng.integers(1, 3))
    line = shlex.join([sys.executable, *TOY[1:], "-n", ranks, "--generations", "2"])
    ended = Command(["bash", "-c", f"{line} {' '.join(closed)}"], folder, 2).wait(300)
    faults = [*ended.faults, *([] if ended.status == 0 else [f"status {ended.status}"])]
    if not list(folder.glob("log/*.hist.json")):
        faults.append("no results")
    return 1, [f"{closed}: {fault}\n{ended.output}" for fault in faults]


def odd_locale(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A path with other characters than the locale's, and a Python that is not in UTF-8 mode."""
    (folder / "é").mkdir()
    (folder / "é/repository").symlink_to(ROOT)
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment["PYTHONPATH"] = str(folder / "é/repository")
    script = str(folder / "é/repository/estool/study/toy.py")
    ranks = str(rng.integers(1, 3))
    flags = [*TOY[2:], "-n", ranks, "--generations", "2", "--directory", str(folder / "é/made")]
    ended = Command(["python", script, *flags], folder, 2, environment=environment).wait(300)
    faults = [*ended.faults, *([] if ended.status == 0 else [f"status {ended.status}"])]
    return 1, [f"{fault}\n{ended.output}" for fault in faults]


def decimal_comma(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A locale that writes 0,5, in UTF-8 or not: the files are those of any other."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split()
    found = [name for name in known if name.startswith(LOCALES)]
    if not found:
        return 0, []
    name, chosen = str(rng.choice(COMMA)), str(rng.choice(found))
    stage = next(one for one in stages() if one.name == name)
    expected, _ = rooms.left_alone(stage)
    rooms.prepare(stage, folder)
    environment = {"LC_ALL": chosen, "LANG": chosen, "PYTHONUTF8": str(rng.integers(2))}
    ended = Command(stage.command, folder, stage.cores, environment=environment).wait()
    faults = [*ended.faults, *([] if ended.status == 0 else [f"status {ended.status}"])]
    if not faults:
        faults = [f"{one} differs" for one in compare(expected, stage.result(folder))]
    return 1, [f"{name} in {chosen}: {fault}\n{ended.output}" for fault in faults]


def zsh(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """setup.bash sourced by zsh with its usual and with odd options: it has a whole .venv."""
    if not shutil.which("zsh"):
        return 0, []
    (place := folder / "a $HOME é").mkdir()
    shutil.copy(ROOT / "setup.bash", place)
    for name in ("requirements.txt", "pyproject.toml"):
        (place / name).touch()
    environment = {"PIP_NO_INDEX": "1", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    options = [one for one in ZSH if rng.random() < 0.3]
    line = "; ".join(
        [*(f"setopt {one}" for one in options), "cd /", f"source '{place}/setup.bash'"]
    )
    command = ["zsh", "-f", "-c", f"{line} && python -m pip --version"]
    ended = Command(command, folder, environment=environment, outside=folder).wait(300)
    faults = [*ended.faults, *([] if ended.status == 0 else [f"status {ended.status}"])]
    if f"{place}/.venv/lib" not in ended.output:
        faults.append("another Python")
    return 1, [f"zsh {options}: {fault}\n{ended.output}" for fault in faults]


def broken_environment(rooms: Rooms, rng, folder: Path) -> tuple[int, list[str]]:
    """An environment of one's own that returns something else: named, and once."""
    part, text, said = WRONG[rng.integers(len(WRONG))]
    (folder / "own_task.py").write_text(OWN.format(**(GOOD | {part: text})))
    ranks = str(rng.integers(1, 3))
    command = ["python", str(ROOT / "estool/train.py"), "own_task:Own-v0", "-n", ranks]
    environment = {"PYTHONPATH": f"{folder}:{ROOT}"}
    ended = Command([*command, "--population", "4"], folder, 2, environment=environment).wait(300)
    return 1, refused(ended, "Own-v0: ") + refused(ended, said)


def two_terminals(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """setup.bash sourced twice at once, the first perhaps killed: the second has a whole .venv."""
    place = folder / "a $HOME é"
    place.mkdir()
    shutil.copy(ROOT / "setup.bash", place)
    for name in ("requirements.txt", "pyproject.toml"):
        (place / name).touch()
    environment = {"PIP_NO_INDEX": "1", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    command = ["bash", "-c", "source ./setup.bash && python -m pip --version"]
    both = [
        Command(command, place, environment=environment, outside=folder / name)
        for name in _made(folder, ("first", "second"))
    ]
    killed = rng.random() < 0.5 and both[0].running_after(float(rng.uniform(0, 4)))
    if killed:
        both[0].signal_group(9)
    ended = [command.wait(300) for command in both]
    faults = []
    for one in ended[killed:]:
        if one.status or one.faults or f"{place}/.venv/lib" not in one.output:
            faults.append(f"{one}")
    return 1, faults


def _made(folder: Path, names: Sequence[str]) -> Sequence[str]:
    for name in names:
        (folder / name).mkdir()
    return names


def _quiet(ended: Ended, status: int, lines: int) -> list[str]:
    faults = list(ended.faults)
    if ended.status != status:
        faults.append(f"status {ended.status} in place of {status}")
    if len(ended.output.splitlines()) != lines:
        faults.append(f"other than {lines} lines")
    return [f"{fault}\n{ended.output}" for fault in faults]


KINDS = {
    "no screen": no_screen,
    "a small /dev/shm": small_shared_memory,
    "a reader that has seen enough": reader_gone,
    "closed streams": closed_streams,
    "an odd path and locale": odd_locale,
    "a locale with a decimal comma": decimal_comma,
    "zsh": zsh,
    "a broken environment": broken_environment,
    "set-up in two terminals": two_terminals,
}
