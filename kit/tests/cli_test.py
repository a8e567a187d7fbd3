"""Flags, presets, one-sentence errors, seeds, and bars."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kit.command import cli, progress, seeds
from kit.command.errors import UserError
from kit.files.settings import save_settings

PRESETS = {"smoke": {"epochs": 1, "rate": 0.5}, "paper": {"epochs": 10}}


def parse(*argv):
    parser = cli.parser("A script.", PRESETS)
    parser.add_argument("--epochs", type=cli.positive_int, default=3, help="passes")
    parser.add_argument("--rate", type=cli.positive_float, default=0.1, help="step size")
    return cli.parse(parser, PRESETS, argv)


def test_a_flag_beats_the_preset_and_the_preset_the_default():
    assert (parse().epochs, parse().rate) == (3, 0.1)
    assert (parse("--preset", "smoke").epochs, parse("--preset=smoke").rate) == (1, 0.5)
    args = parse("--epochs", "7", "--preset", "smoke")
    assert (args.epochs, args.rate) == (7, 0.5)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--epochs", "0"), "--epochs: expected a whole number from 1 to 2147483647, found '0'"),
        (("--epochs", "x"), "found 'x'"),
        (("--rate", "nan"), "--rate: expected a number from 1e-09 to 1e+09, found 'nan'"),
        (("--preset", "huge"), "invalid choice: 'huge'"),
        (("--epoch", "1"), "--epoch"),
    ],
)
def test_a_bad_flag_is_one_line_and_status_2(argv, said, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and said in error and error.count("\n") == 1


def test_a_preset_of_a_flag_that_is_not_there_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="typo"):
        cli.parse(cli.parser("A script.", {"a": {"typo": 1}}), {"a": {"typo": 1}}, ["--preset=a"])


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        ("UserError('a.json is bad')", 2, "-c: a.json is bad\n"),
        ("UserError('a.json (a\\nb) is bad')", 2, "-c: a.json (a b) is bad\n"),
        ("KeyboardInterrupt", 130, "-c: interrupted\n"),
    ],
)
def test_errors_of_users_are_sentences(error, status, said):
    imports = "from kit.command.cli import run\nfrom kit.command.errors import UserError"
    code = f"{imports}\ndef main(): raise {error}\nrun(main)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, said)


def test_ctrl_c_that_a_library_answers_with_an_error_of_its_own_is_a_sentence():
    code = "from kit.command.cli import run\ndef main():\n try: raise KeyboardInterrupt\n"
    code += " finally: raise ValueError\nrun(main)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "-c: interrupted\n")


def test_sigterm_while_python_cleans_up_shows_no_traceback():
    code = "import atexit, os, time\nfrom kit.command.cli import run\n"
    code += "atexit.register(lambda: (os.kill(os.getpid(), 15), time.sleep(9)))\nrun(lambda: None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize(
    ("number", "sigint"), [(2, "default_int_handler"), (15, "default_int_handler"), (15, "SIG_IGN")]
)
def test_an_interruption_in_a_callback_is_not_lost(number, sigint):
    code = "import os, signal, time, weakref\nfrom kit.command.cli import run\nclass A: pass\n"
    code += "def main():\n a = A()\n"
    code += f" b = weakref.ref(a, lambda _: (os.kill(os.getpid(), {number}), time.sleep(9)))\n"
    code += " del a\n time.sleep(9)\n"
    code += f"signal.signal(2, signal.{sigint})\nrun(main)"  # ignored in a script's background
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "-c: interrupted\n")


def test_ctrl_c_in_an_import_is_a_sentence_where_python_wraps_it_too():
    code = "from kit.command import cli; cli.begin(__name__)\n"
    code += "class A:\n def __set_name__(self, *_): raise KeyboardInterrupt\nclass B: a = A()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "-c: interrupted\n")


def test_a_command_draws_into_files_whatever_backend_is_asked_for():
    code = "from kit.command import cli\ncli.begin(__name__)\n"
    code += "def main():\n import matplotlib, cv2\n"
    code += " print(matplotlib.get_backend(), cv2.getNumThreads())\ncli.run(main)"
    asked = os.environ | {"MPLBACKEND": "nonsense"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=asked)
    assert (done.returncode, done.stdout.lower()) == (0, "agg 1\n")


def test_in_a_path_that_the_locale_has_no_characters_for_a_command_takes_utf8(tmp_path):
    root = Path(cli.__file__).parents[2]
    (tmp_path / "é").symlink_to(root)
    code = "import sys\nfrom kit.command import cli\ncli.begin(__name__)\n"
    code += "import psutil\nprint(sys.getfilesystemencoding(), sys.argv[1])"
    asked = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    kept = "ascii" if str(root).isascii() and sys.prefix.isascii() else "utf-8"
    for path, expected in ((tmp_path / "é", "utf-8 é\n"), (root, f"{kept} é\n")):
        done = subprocess.run(
            [sys.executable, "-c", code, "é"],
            cwd=tmp_path,
            capture_output=True,
            env=asked | {"PYTHONPATH": str(path)},
        )
        assert (done.stdout.decode(), done.stderr) == (expected, b"")


def test_existing_file(tmp_path):
    file = tmp_path / "there"
    file.touch()
    assert cli.existing_file(str(file)) == file
    with pytest.raises(Exception, match="found a folder"):
        cli.existing_file(str(tmp_path))
    with pytest.raises(Exception, match="found nothing"):
        cli.existing_file(str(tmp_path / "nowhere"))


def test_settings_are_saved_with_versions(tmp_path):
    save_settings(tmp_path / "s.json", parse("--preset", "smoke"))
    saved = json.loads((tmp_path / "s.json").read_text())
    assert (saved["epochs"], saved["rate"], saved["preset"]) == (1, 0.5, "smoke")
    assert saved["versions"]["numpy"] == np.__version__


def test_seeds_of_the_three_sets_never_meet():
    training = seeds.training_seeds(np.random.default_rng(0), 10_000)
    assert training.dtype == np.int64 and training.min() >= 1_000_000 and training.max() < 2**31
    assert seeds.test_seeds(5, 3).tolist() == [5, 6, 7]
    assert seeds.selection_seeds(2).tolist() == [100_000, 100_001]
    for first, count in ((-1, 2), (99_999, 2), (0, 0)):
        with pytest.raises(UserError, match="test seeds run from 0 to 99999"):
            seeds.test_seeds(first, count)
    with pytest.raises(UserError, match="selection seeds"):
        seeds.selection_seeds(100_001)


def test_a_bar_in_a_file_is_whole_lines(capsys):
    with progress.bar(4, "frames", "reading") as bar:
        bar.update(4)
    lines = capsys.readouterr().err.splitlines()
    assert "reading: 100%" in lines[-1] and "4/4" in lines[-1] and all(lines)
