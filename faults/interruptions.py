"""Stages that are ended at random moments, started again with the same command, and compared.

An interrupted run has to end with the files of one that was left alone: bit for bit for recording,
encoding and evolution, and, on one core in float32, for the weights, the optimiser's state, the
step and place in the data of V and M. dreamerv2_stages.py says what holds there.
"""

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil

import anyenv_stages
import dreamerv2_stages
from processes import Command

ROOT = Path(__file__).resolve().parent.parent
# What a stage reads: the stage that makes it, and in which folder.
MAKERS = (
    {
        "record": ("extract.py", "record"),
        "tf_vae": ("vae_train.py", "tf_vae"),
        "series": ("series.py", "series"),
        "vae": ("vae_train.py", "tf_vae"),
        "rnn": ("rnn_train.py", "tf_rnn"),
        "initial_z": ("rnn_train.py", "tf_initial_z"),
    }
    | anyenv_stages.MAKERS
    | dreamerv2_stages.MAKERS
)
KINDS = ("Ctrl-C", "SIGTERM", "kill -9", "kill -9 of a part")
UNFINISHED = (".writing-*", ".*.lock")  # what no command may leave behind
HEAVY = 6  # interruptions in a round of what takes half a minute


def recordings(folder: Path) -> dict:
    return {path.name: path.read_bytes() for path in folder.glob("record/*.npz")}


def encoded(folder: Path) -> dict:
    return {"series.npz": (folder / "series/series.npz").read_bytes()}


def trained(name: str) -> Callable[[Path], dict]:
    """What a training of V or M in tf_<name> has come to: all but the time that it took."""

    def state(folder: Path) -> dict:
        result = {"weights": (folder / f"tf_{name}/{name}.json").read_bytes()}
        with np.load(folder / f"tf_{name}/checkpoint.npz", allow_pickle=False) as file:
            values = json.loads(str(file["values"]))
            result |= {key: file[key].tobytes() for key in file.files if key != "values"}
        return result | {"step": values["step"], "position": values["position"]}

    return state


def evolved(folder: Path) -> dict:
    """The log files of an evolution without the column of seconds."""
    result = {}
    for path in folder.glob("log/*.json"):
        if path.name.endswith(".settings.json"):  # how many ranks it was, and the like
            continue
        value = json.loads(path.read_text())
        if path.name.endswith((".hist.json", ".hist_best.json")):
            value = [[row[0], *row[2:]] for row in value]
        result[path.name] = value
    pictures = sorted(path.name for path in folder.glob("log/*.png"))
    return result | {"pictures": pictures}


def whole_room(folder: Path) -> dict:
    """All that gpu_jobs.bash makes of the recordings."""
    return encoded(folder) | {"V": trained("vae")(folder), "M": trained("rnn")(folder)}


@dataclasses.dataclass
class Stage:
    """A command that is to be interrupted.

    needs: files and folders of a prepared room that it reads, copied beside it
    result: what of its folder has to be the same in the end
    part: part of a process's command line that `kill -9 of a part` picks from: a rank, a worker
    weight: how much more often than others it is drawn, because it is cheap
    most: how often it is interrupted in a round at most
    watch: of a folder, the status of an end and what it said after the end before: what of the
        folder may only grow (a name -> a number or a set), and what is wrong with it
    """

    name: str
    command: Sequence[str]
    result: Callable[[Path], dict]
    needs: Sequence[str] = ()
    part: str = ""
    cores: int = 1
    weight: int = 1
    most: int = 12
    watch: Callable[[Path, int, dict], tuple[dict, list[str]]] | None = None

    def start(self, folder: Path) -> Command:
        """Scripts and ranks start as people start them; what is one process is forked."""
        return Command(self.command, folder, self.cores, forked=not self.part)


def stages() -> list[Stage]:
    """Those of the rooms and of estool, at sizes that take seconds."""
    result = []
    for room, sizes in (
        ("carracing", ("--max_frames", "60", "--renderer", "fast")),
        ("doomrnn", ("--max_frames", "120")),
    ):
        smoke = ("--preset", "smoke")

        def script(name, *flags, room=room):
            return ["python", str(ROOT / room / name), "--preset", "smoke", *flags]

        jobs, code = ["bash", "gpu_jobs.bash", *smoke], ("*.py", "*.bash", "fast")
        workers = ["bash", "extract.bash", *smoke, *sizes, "--episodes", "12"]
        record = script("extract.py", *sizes, "--episodes", "12")
        train_v = script("vae_train.py", "--steps", "9", "--batch", "4")
        train_m = script("rnn_train.py", "--steps", "9", "--batch", "2")
        v, series = "tf_vae/vae.json", "series/series.npz"
        result += [
            Stage(f"{room} extract.py", record, recordings, weight=8),
            Stage(f"{room} extract.bash", workers, recordings, code, "extract.py", 2, weight=3),
            Stage(f"{room} vae_train.py", train_v, trained("vae"), ("record",), weight=2),
            Stage(f"{room} series.py", script("series.py"), encoded, ("record", v), weight=3),
            Stage(f"{room} rnn_train.py", train_m, trained("rnn"), (series, v), weight=3),
            Stage(
                f"{room} gpu_jobs.bash",
                jobs,
                whole_room,
                (*code, "record"),
                part="train.py",
                most=HEAVY,
            ),
        ]

    def ranks(count, name, *flags):
        return ["python", str(ROOT / name), "-n", str(count), *flags]

    small = ("--preset", "smoke", "--max_length", "20", "--generations", "4", "--eval_steps", "2")
    toy = ("--population", "9", "--generations", "30", "--eval_steps", "10")
    pole = ("--population", "8", "--generations", "8", "--eval_steps", "4")
    models = ("vae/vae.json", "rnn/rnn.json", "initial_z/initial_z.json")
    cart = ("estool/train.py", "CartPoleSwingUp-v0")
    for name, needs, flags, weight, most in (
        ("carracing train.py", models, ("carracing/train.py", *small), 1, HEAVY),
        ("doomrnn train.py", ["tf_models"], ("doomrnn/train.py", *small), 1, HEAVY),
        ("estool toy.py", (), ("estool/study/toy.py", *toy), 10, 12),
        ("estool train.py", (), (*cart, *pole), 4, 12),
    ):
        part = flags[0].split("/")[1]
        result.append(Stage(name, ranks(2, *flags), evolved, needs, part, 2, weight, most))
    for name, command, state, needs, processes in anyenv_stages.commands(ROOT):
        part = "run.py" if processes > 1 else ""
        result.append(
            Stage(f"anyenv {name}", command, state or evolved, needs, part, processes, 2, HEAVY)
        )
    for name, command, state, needs, part, watch in dreamerv2_stages.commands(ROOT):
        cores = 2 if part else 1
        rest = (state, needs, part, cores, 2, HEAVY, watch)
        result.append(Stage(f"dreamerv2 {name}", command, *rest))
    return result


class Rooms:
    """Runs of all stages that were left alone: what the others read, and are compared with."""

    def __init__(self, folder: Path):
        self.folder = folder

    def prepare(self, stage: Stage, folder: Path) -> None:
        """Copy what `stage` needs into `folder`."""
        room = stage.name.split()[0]
        for pattern in stage.needs:
            first, _, rest = pattern.partition("/")
            if first.startswith("*") or first in ("fast", "tf_models"):  # code, shipped weights
                source, inside = ROOT / room, pattern
            else:
                maker, made = MAKERS[first]
                source, inside = self.made_by(f"{room} {maker}"), f"{made}/{rest}".rstrip("/")
            for path in sorted(source.glob(inside)):
                target = folder / (pattern if rest else path.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copy)(path, target)

    def left_alone(self, stage: Stage) -> tuple[dict, float]:
        """The result of `stage` without an interruption, and the seconds that it took."""
        folder = self._of(stage)
        done = folder / "seconds.json"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.prepare(stage, folder)
            began = time.monotonic()
            ended = stage.start(folder).wait()
            if ended.status or ended.faults:
                raise RuntimeError(f"{stage.name} left alone: {ended}")
            self.note_seconds(stage, time.monotonic() - began)
        return stage.result(folder), json.loads(done.read_text())

    def note_seconds(self, stage: Stage, seconds: float) -> None:
        """What `stage` takes from its beginning to its end."""
        (self._of(stage) / "seconds.json").write_text(json.dumps(seconds))

    def _of(self, stage: Stage) -> Path:
        return self.folder / stage.name.replace(" ", "-")

    def made_by(self, name: str) -> Path:
        """The folder in which the stage of that name has run."""
        self.left_alone(next(stage for stage in stages() if stage.name == name))
        return self.folder / name.replace(" ", "-")


@dataclasses.dataclass
class Outcome:
    """What a round came to: how often each kind was tried, and what went wrong."""

    tried: dict[str, int]
    faults: list[str]


def run(
    stage: Stage, rooms: Rooms, rng: np.random.Generator, folder: Path, most: int | None = None
):
    """Interrupt `stage` up to `most` times, then let it end, and compare: an Outcome."""
    most = most or stage.most
    expected, seconds = rooms.left_alone(stage)
    rooms.prepare(stage, folder)
    outcome = Outcome(dict.fromkeys(KINDS, 0), [])
    told, kept = [], {}
    for _ in range(rng.integers(most // 2, most + 1)):
        kind = str(rng.choice(KINDS if stage.part else KINDS[:3]))
        # Starts that follow each other go further and further; some of them shall go far at once.
        # Scripts and ranks have TensorFlow to load first, and more than that shall be interrupted.
        # The first comes early: what was left alone may have had a busier machine.
        near = [0.2, 0.2, 0.6] if stage.part else [0.5, 0.3, 0.2]
        far = rng.choice([0.15, 0.3, 1], p=near) if told else 0.3
        delay = rng.uniform(0.05, seconds * far)
        began, command = time.monotonic(), stage.start(folder)
        hit = command.running_after(delay)
        if hit:
            kind = interrupt(command, kind, stage, rng)
        ended = command.wait()
        told.append(f"{kind} after {delay:.2f} s: status {ended.status}")
        kept, lost = watch(stage, folder, ended.status, kept)
        ours = kind != "kill -9" or not dreamerv2_stages.SPAWNED.search(ended.output)
        faults = [fault for fault in ended.faults if ours or fault != "a traceback"] + lost
        outcome.faults += [f"{told[-1]}: {fault}\n{ended.output}" for fault in faults]
        if not hit and ended.status:
            outcome.faults.append(f"left alone it failed: {ended.output}")
        if not hit and not any(outcome.tried.values()):  # it was measured on a busier machine
            rooms.note_seconds(stage, time.monotonic() - began)
        if not hit:
            break
        outcome.tried[kind] += 1
    ended = stage.start(folder).wait()
    faults = ended.faults + watch(stage, folder, ended.status, kept)[1]
    outcome.faults += [f"the last start: {fault}\n{ended.output}" for fault in faults]
    if ended.status:
        outcome.faults.append(f"after {told}: status {ended.status}\n{ended.output}")
        return outcome
    different = compare(expected, stage.result(folder))
    if different:
        outcome.faults.append(f"after {told}: {', '.join(different)} differ\n{ended.output}")
    left = [path.name for kind in UNFINISHED for path in folder.rglob(kind)]
    if left:
        outcome.faults.append(f"after {told}: left behind {left}")
    return outcome


def watch(stage: Stage, folder: Path, status: int, before: dict) -> tuple[dict, list[str]]:
    """What may only grow, to be given back after the next end, and what is wrong."""
    if not stage.watch:
        return {}, []
    grows, faults = stage.watch(folder, status, before)
    for name, value in before.items():
        if name not in grows or not grows[name] >= value:
            faults.append(f"some of the {name} are gone")
    return grows, faults


def interrupt(command: Command, kind: str, stage: Stage, rng: np.random.Generator) -> str:
    """Do it; returns which kind it was in the end."""
    if kind == "Ctrl-C":
        command.interrupt_as_terminal()
    elif kind == "SIGTERM":
        command.process.terminate()
    elif kind == "kill -9":
        command.process.kill()
    else:
        # mpirun's own helpers have its words at first: without them it waits for ever
        parts = [
            one
            for one in command.family()
            if one.pid != command.process.pid
            and (words := _cmdline(one))
            and "python" in Path(words[0]).name
            and stage.part in " ".join(words)
        ]
        try:
            parts[rng.integers(len(parts))].kill()
        except (ValueError, psutil.NoSuchProcess):  # too early for one, or just between two
            command.process.kill()
            return "kill -9"
    return kind


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended
        return []


def compare(expected: dict, found: dict) -> list[str]:
    """The names of what differs."""
    return sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
