"""An import changes nothing in the program of whoever imports: every module of every room."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Imported by name, so that no module of the repository is there before. What it does is compared
# in a copy of a process that has loaded the libraries: what these do at their import is theirs.
CODE = """
import ast, gc, hashlib, importlib, json, locale, logging, os, random, signal, sys, threading
import atexit, warnings
from pathlib import Path

ROOT, OURS = Path(sys.argv[1]), {"kit", "estool"}
FILES = [
    path for path in sorted(ROOT.glob("[!.]*/**/*.py"))
    if not path.name.endswith("_test.py") and "tests" not in path.parts
]
OURS |= {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}

def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module

names = {name for path in FILES for name in imported(ast.parse(path.read_text("utf-8")))}
names |= {"cv2", "matplotlib", "numpy", "threadpoolctl"}
for name in sorted(names, key=lambda name: (not name.startswith("torch"), name)):  # see sb3.py
    if name.split(".")[0] not in OURS | {"mpi4py"}:  # which would start MPI
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # optional

import cv2, matplotlib, numpy, threadpoolctl
calls = []
for name in ("dup2", "chdir", "umask", "putenv", "fork", "setpriority"):
    def recorded(*args, real=getattr(os, name), name=name):
        calls.append(name)
        return real(*args)
    setattr(os, name, recorded)

def digest(value):
    return hashlib.md5(repr(value).encode()).hexdigest()

def state():
    hooks = ("excepthook", "unraisablehook", "displayhook", "stdout", "stderr", "stdin")
    return {
        "hooks": [id(getattr(sys, name)) for name in hooks] + [id(threading.excepthook)],
        "signals": [repr(signal.getsignal(number)) for number in signal.valid_signals()],
        "timers": signal.getitimer(signal.ITIMER_REAL),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "paths": list(sys.path),
        "streams": [os.fstat(number)[:2] for number in range(3)],
        "threads": [thread.name for thread in threading.enumerate()],
        "tasks": len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1,
        "at exit": atexit._ncallbacks(),
        "warnings": digest(warnings.filters),
        "logging": [logging.root.level, len(logging.root.handlers)],
        "locale": locale.setlocale(locale.LC_ALL),
        "random": digest(random.getstate()),
        "numpy": [numpy.geterr(), digest(numpy.random.get_state()), numpy.get_printoptions()],
        "matplotlib": digest(sorted(dict.items(matplotlib.rcParams))),
        "opencv": [cv2.getNumThreads(), cv2.useOptimized()],
        "BLAS": sorted(str(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()),
        "collector": [gc.isenabled(), gc.get_threshold()],
        "calls": list(calls),
    }

found = {}
for path in FILES:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    package = parts[0] in ("kit", "estool") or (ROOT / parts[0] / "__init__.py").exists()
    room, name = parts[0], ".".join(parts if package else parts[1:]).removesuffix(".__init__")
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        sys.path[0] = str(ROOT if package else ROOT / room)
        os.chdir(ROOT / room)
        calls.clear()
        before = state()
        try:
            importlib.import_module(name)
            after = state()
            changed = [key for key in before if before[key] != after[key]]
        except BaseException as error:
            optional = getattr(error, "name", "") in ("torch", "stable_baselines3")
            changed = [] if optional else [repr(error)]
        os.write(told, json.dumps(changed).encode())
        os._exit(0)
    os.close(told)
    with open(ready) as pipe:
        found["/".join(parts)] = json.loads(pipe.read() or '["it ended"]')
    os.waitpid(child, 0)
print(json.dumps(found))
"""


def test_an_import_has_no_side_effect():
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(ROOT)]
    # a command has told TensorFlow to be quiet, a program of one's own may not have
    asked = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, capture_output=True, text=True, env=asked)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) > 100 and "doomrnn/study/check" in found
    assert {name: changed for name, changed in found.items() if changed} == {}
