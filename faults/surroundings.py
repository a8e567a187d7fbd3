"""Bad places to run in: full disks, folders that cannot be written, no mpirun, two at a time, ...

A function here returns how many things it tried and what went wrong; one whose surroundings this
machine does not let it make (a mount without the rights for it) tries nothing.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from interruptions import ROOT, Rooms, Stage, compare, stages
from processes import Command
from refusals import refused, snapshot

TOY = ["python", str(ROOT / "estool/study/toy.py"), "--population", "9", "--eval_steps", "5"]
# Whose disk fills up.
FILLED = ("doomrnn extract.py", "carracing extract.py", "estool toy.py", "doomrnn series.py")
FILLED += ("carracing vae_train.py",)


def _stage(name: str) -> Stage:
    return next(stage for stage in stages() if stage.name == name)


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[bool]:
    """A small file system in memory at `folder`; false where that is not permitted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def full_disk(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """The disk fills up in the middle; with more room the same command ends as it should."""
    stage = _stage(str(rng.choice(FILLED)))
    expected, _ = rooms.left_alone(stage)
    whole = sum(p.stat().st_size for p in rooms.made_by(stage.name).rglob("*") if p.is_file())
    faults = []
    with mounted(folder / "disk", "size=1g") as possible:
        if not possible:
            return 0, []
        disk = folder / "disk" / "run"
        disk.mkdir()
        rooms.prepare(stage, disk)
        used = shutil.disk_usage(disk).used
        size = used + int(rng.uniform(0.1, 0.9) * max(whole - used, 50_000))
        _remount(folder / "disk", f"size={size}")
        # its own log lies elsewhere: what a person redirects to a full disk nobody can read
        ended = _start(stage, disk, folder).wait()
        if ended.status != 0:
            faults = [fault for fault in refused(ended, "") if "not one" not in fault]
            if "No space left on device" not in ended.output:
                faults.append(f"does not say why\n{ended.output}")
        _remount(folder / "disk", "size=1g")
        ended = _start(stage, disk, folder).wait()
        if ended.status or ended.faults:
            faults.append(f"with more room: {ended.status} {ended.faults}\n{ended.output}")
        elif different := compare(expected, stage.result(disk)):
            faults.append(f"with more room: {different} differ")
        if left := [p.name for p in disk.rglob(".writing-*")]:
            faults.append(f"left behind: {left}")
    return 1, [f"{stage.name}: {fault}" for fault in faults]


def _remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def _start(stage: Stage, folder: Path, outside: Path) -> Command:
    return Command(stage.command, folder, stage.cores, not stage.part, outside=outside)


def read_only(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A file system that is read-only."""
    name = str(rng.choice(["doomrnn extract.py", "estool toy.py", "carracing rnn_train.py"]))
    stage, faults = _stage(name), []
    with mounted(folder / "disk", "size=100m") as possible:
        if not possible:
            return 0, []
        disk = folder / "disk" / "run"
        disk.mkdir()
        rooms.prepare(stage, disk)
        before = snapshot(disk)
        _remount(folder / "disk", "ro")
        faults = refused(_start(stage, disk, folder).wait(), "")
        _remount(folder / "disk", "rw")
        if snapshot(disk) != before:
            faults.append("files were changed")
    return 1, [f"{name}: {fault}" for fault in faults]


def no_permission(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A folder of somebody else: root gives up its rights for this."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        return 0, []
    place = folder / "place"
    place.mkdir(mode=0o755)
    tools = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command = [*tools, sys.executable, TOY[1], "-n", "1", "--generations", "2"]
    if subprocess.run(
        [*tools, sys.executable, "-c", "import numpy"], capture_output=True
    ).returncode:
        return 0, []  # nobody may not even read the interpreter
    return 1, refused(Command(command, place, outside=folder).wait(), "checkpoint")


def two_at_a_time(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A second start in the same folder is refused; after a kill -9 the next one is not."""
    name = str(rng.choice(["doomrnn extract.py", "estool toy.py", "carracing vae_train.py"]))
    stage = _stage(name)
    longer = {"doomrnn extract.py": "--episodes", "estool toy.py": "--generations"}
    command = [*stage.command, longer.get(name, "--steps"), "100000"]
    rooms.prepare(stage, folder)
    first = Command(command, folder, stage.cores, not stage.part)
    faults, end = [], time.monotonic() + 120
    while not list(folder.rglob(".*.lock")) and time.monotonic() < end:
        time.sleep(0.1)
    (folder / "outside").mkdir()
    second = Command(command, folder, stage.cores, not stage.part, outside=folder / "outside")
    faults += refused(second.wait(), "is in use by process")
    if first.process.poll() is not None:
        faults.append("the first one ended as well")
    first.process.kill()
    first.wait()
    ended = stage.start(folder).wait()
    if ended.status or ended.faults:
        faults.append(f"after a kill -9: {ended}")
    return 1, [f"{name}: {fault}" for fault in faults]


def no_mpirun(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """Python lies where no mpirun is, and PATH names none."""
    (folder / "bin").mkdir()
    python = folder / "bin/python"
    python.symlink_to(sys.executable)
    packages = str(Path(np.__file__).parent.parent)
    environment = {"PATH": str(folder / "bin"), "PYTHONPATH": f"{packages}:{ROOT}"}
    command = [str(python), *TOY[1:], "-n", "2"]
    ended = Command(command, folder, environment=environment).wait()
    return 1, refused(ended, "-n 2 needs mpirun")


def other_mpi(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """An mpirun that is not mpi4py's: one that gives ranks as Open MPI does, or no ranks at all."""
    (folder / "bin").mkdir()
    tool = folder / "bin/mpirun"
    tells = rng.random() < 0.5
    told = "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=$2" if tells else ""
    tool.write_text(f'#!/bin/sh\n[ "$1" = -n ] && export X=1 {told}\nshift 2\nexec "$@"\n')
    tool.chmod(0o755)
    if tells:
        command, named = [str(tool), "-n", "2", *TOY, "-n", "2"], "different MPI libraries"
    else:  # our own start finds it, where it lies beside Python
        (folder / "bin/python").symlink_to(sys.executable)
        command, named = [str(folder / "bin/python"), *TOY[1:], "-n", "2"], "which rank they are"
    packages = str(Path(np.__file__).parent.parent)
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = f"{packages}:{ROOT}"
    command = [sys.executable if word == "python" else word for word in command]
    return 1, refused(Command(command, folder, environment=environment).wait(), named)


def first_in_path(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A broken mpirun is the first in PATH: ours, beside Python, is taken."""
    (folder / "bin").mkdir()
    tool = folder / "bin/mpirun"
    tool.write_text("#!/bin/sh\nexit 7\n")
    tool.chmod(0o755)
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    command = [*TOY, "-n", "2", "--generations", "2"]
    ended = Command(command, folder, 2, environment=environment).wait()
    return 1, [*ended.faults, *([] if ended.status == 0 else [f"{ended}"])]


def no_vizdoom(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """VizDoom is not installed: recording says so, dreaming does not need it."""
    (folder / "hide").mkdir()
    hide = "import sys\nsys.modules['vizdoom'] = None\n"
    (folder / "hide/sitecustomize.py").write_text(hide)
    environment = {"PYTHONPATH": str(folder / "hide")}
    command = ["python", str(ROOT / "doomrnn/extract.py"), "--episodes", "2"]
    ended = Command(command, folder, environment=environment).wait()
    return 1, refused(ended, "vizdoom")


def no_display(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A window is asked for where there is no screen."""
    room = str(rng.choice(["carracing", "doomrnn"]))
    world = ["doomrnn"] if room == "doomrnn" else []
    command = ["python", str(ROOT / room / "model.py"), *world, "render", "--max_length", "3"]
    environment = {"SDL_VIDEODRIVER": "x11"}
    return 1, refused(Command(command, folder, environment=environment).wait(), "--video")


def many_ranks(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """More ranks than cores give the same result; more than fit into memory are refused."""
    count = str(rng.integers(4, 8))
    stage = _stage("estool toy.py")
    command = [*stage.command[:2], *stage.command[2:], "-n", count]
    ended = Command(command, folder, 2).wait()
    faults = [*ended.faults]
    if ended.status or compare(rooms.left_alone(stage)[0], stage.result(folder)):
        faults.append(f"-n {count}: another result\n{ended.output}")
    ended = Command([*TOY, "-n", "1000000"], folder).wait()
    return 2, faults + refused(ended, "GB of memory")


def little_memory(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A size that needs more memory than there is: said with numbers, before the work."""
    total = psutil.virtual_memory().total
    frames, tasks = int(total / 12_000), str(min(int(total / 40), 2**31 - 1))
    games = ["--batch", str(min(count := int(total / 5e6), 80_000)), "--eval_episodes", "4"]
    many = ["-n", "1", "--episodes", str(min(count, 100_000)), "--batch", str(count)]
    commands = (
        (["carracing/extract.py", "--max_frames", str(min(frames, 2**31 - 1))], ()),
        (["carracing/vae_train.py", "--batch", str(int(total / 100_000))], ("record",)),
        (["doomrnn/rnn_train.py", "--batch", str(int(total / 40_000))], ("series",)),
        (["estool/study/toy.py", "-n", "1", "--population", tasks, "--eval_episodes", "4"], ()),
        (["doomrnn/train.py", "-n", "100000"], ()),
        (["carracing/train.py", "-n", "1", "--population", "5000", *games], ()),
        (["carracing/model.py", "norender", *many], ()),
        (["doomrnn/model.py", "doomreal", "norender", *many], ()),
    )
    (script, *flags), _ = commands[rng.integers(len(commands))]
    room, name = script.split("/")[0], Path(script).name
    rooms.prepare(_stage(f"{room} {name.replace('model', 'train')}"), folder)
    before = snapshot(folder)
    command = ["python", str(ROOT / script), *flags]
    ended = Command(command, folder, forked=True).wait()
    faults = refused(ended, "GB of memory")
    if not re.search(r"needs about [\d.e+]+ GB", ended.output):
        faults.append("no numbers")
    if snapshot(folder) != before:
        faults.append("files were changed")
    return 1, [f"{script}: {fault}" for fault in faults]


def stuck_rank(rooms: Rooms, rng: np.random.Generator, folder: Path) -> tuple[int, list[str]]:
    """A rank that hangs ends the job with its name and traceback; a restart goes on from there."""
    stage = _stage("estool toy.py")
    stopped = rng.random() < 0.5
    fault = "stop" if stopped else "hang"
    # Seconds that no rank needs for its thousandths, also on a machine that is busy.
    ended = Command([*stage.command, "--fault", fault, "--rank_timeout", "5"], folder, 2).wait()
    said = "no answer from rank 1 of 2" if stopped else "in rollouts"
    faults = [one for one in ended.faults if one != "a traceback"]
    if not ended.status or said not in ended.output or "rank 1 of 2" not in ended.output:
        faults.append(f"not named\n{ended.output}")
    ended = stage.start(folder).wait()
    if ended.status or compare(rooms.left_alone(stage)[0], stage.result(folder)):
        faults.append(f"after a restart: {ended}")
    if "continuing after generation 1\n" not in ended.output:
        faults.append(f"did not go on from generation 1\n{ended.output}")
    return 1, faults


KINDS = {
    "a full disk": full_disk,
    "a read-only disk": read_only,
    "no permission": no_permission,
    "two starts in one folder": two_at_a_time,
    "no mpirun": no_mpirun,
    "the mpirun of another MPI": other_mpi,
    "a broken mpirun first in PATH": first_in_path,
    "no VizDoom": no_vizdoom,
    "no display": no_display,
    "more ranks than cores, than memory": many_ranks,
    "too little memory": little_memory,
    "a rank that hangs": stuck_rank,
}
