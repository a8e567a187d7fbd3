"""setup.bash, sourced as people do: two at once, from anywhere, moved, linked, by others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = "odd $HOME 'name' (é)"
# No registry is asked: what the test's requirements.txt names is nowhere, or nothing.
CLEAN = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nonexistent"}
CLEAN |= {"PIP_NO_INDEX": "1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}


def start(command, folder, shell="bash", before=(), **environment):
    """A shell that runs `command` in `folder`."""
    return subprocess.Popen(
        [*before, shell, "-c", command],
        cwd=folder,
        env=CLEAN | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
    )


def source(command, folder, **options):
    """Exit status and output."""
    process = start(command, folder, **options)
    output = process.communicate()[0]
    return process.returncode, output


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A clone with nothing to install, set up by two terminals at once; and what they said."""
    folder = tmp_path_factory.mktemp("setup") / FOLDER
    (folder / "kit").mkdir(parents=True)
    (folder / "kit/__init__.py").touch()
    shutil.copy(ROOT / "setup.bash", folder)
    (folder / "pyproject.toml").touch()
    (folder / "requirements.txt").write_text("--only-binary :all:\n-e .  # the packages\n")
    both = [start("source setup.bash && command -v python", folder) for _ in range(2)]
    return folder, [(process.communicate()[0], process.returncode) for process in both]


def test_two_terminals_at_once_make_one_and_both_get_it(checkout):
    folder, said = checkout
    assert [status for _, status in said] == [0, 0]
    assert sum("making .venv" in text for text, _ in said) == 1
    assert sum("waiting for the setup.bash of another terminal" in text for text, _ in said) == 1
    assert all(text.endswith(f"{folder}/.venv/bin/python\n") for text, _ in said)


def test_the_packages_are_found_whatever_the_path_and_the_locale(checkout, tmp_path):
    command = 'source "$0/setup.bash" && python -c "import kit"'
    process = subprocess.run(
        ["bash", "-c", command, checkout[0]], cwd=tmp_path, env=CLEAN, capture_output=True
    )
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_from_anywhere_and_through_a_link_it_is_the_same_checkout(checkout, tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    folder = checkout[0]
    (tmp_path / "link").symlink_to(folder)
    ask = "&& command -v python && echo $PATH"
    expected = f"{folder}/.venv/bin/python\n{folder}/.venv/bin:{CLEAN['PATH']}\n"
    for command in (
        f"source link/setup.bash {ask}",
        f"cd ./link && source ./setup.bash && source ./setup.bash {ask}",
        f"alias rm=false cat=false; set -e; source link/setup.bash {ask}",
    ):
        found = source(command, tmp_path, shell=shell, CDPATH=f"{tmp_path}:/")
        assert found == (0, expected)


def test_requirements_that_cannot_be_had_leave_a_complete_venv_alone(checkout):
    folder = checkout[0]
    needed = folder / "requirements.txt"
    before = needed.read_text()
    (folder / ".venv/kept").touch()
    needed.write_text(before + "not-to-be-had==1\n")
    status, said = source("source setup.bash", folder)
    assert status == 2 and "setup.bash: pip could not install requirements.txt" in said
    status, said = source("source setup.bash", folder)
    assert status == 2 and "making .venv" not in said
    needed.write_text(before)
    assert source("source setup.bash", folder) == (0, "")
    assert (folder / ".venv/kept").exists()


def test_an_interrupted_installation_is_made_anew(checkout):
    folder = checkout[0]
    (folder / ".venv/installed").unlink()
    (folder / ".venv/half").touch()
    status, said = source("source setup.bash", folder)
    assert status == 0 and "making .venv" in said and not (folder / ".venv/half").exists()


def test_moved_it_goes_on_with_what_it_has(checkout, tmp_path):
    folder = tmp_path / "else where"
    shutil.copytree(checkout[0], folder, symlinks=True)
    (folder / ".venv/kept").touch()
    ask = "source setup.bash && python -c 'import kit; print(kit.__file__)' && pip --version"
    status, said = source(ask, folder)
    assert status == 0 and "bringing .venv up to date" in said and "making" not in said
    assert f"{folder}/kit/__init__.py\n" in said and f"from {folder}/.venv/lib" in said
    assert (folder / ".venv/kept").exists()


def test_a_checkout_of_another_user_whose_python_is_out_of_reach(checkout, tmp_path_factory):
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("only root can be another user")
    folder = tmp_path_factory.mktemp("other")
    for name in ("setup.bash", "requirements.txt", "pyproject.toml"):
        shutil.copy(checkout[0] / name, folder)
    (folder / "private").mkdir(mode=0o700)
    (folder / "private/python").symlink_to(sys.executable)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(folder / "private/python")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    status, said = source("source setup.bash", folder, before=nobody)
    assert status == 2 and said.count("\n") == 1
    assert f"{folder}/.venv is another user's" in said and "a clone of your own" in said
    shutil.rmtree(folder / ".venv")
    status, said = source("source setup.bash", folder, before=nobody)
    assert (status, said.count("\n")) == (2, 1) and f"{folder} cannot be written to" in said


def test_a_folder_that_path_cannot_hold(checkout, tmp_path):
    folder = tmp_path / "a:b"
    folder.mkdir()
    for name in ("setup.bash", "requirements.txt", "pyproject.toml"):
        shutil.copy(checkout[0] / name, folder)
    status, said = source("source setup.bash", folder)
    assert status == 2 and "a colon in its name" in said and not (folder / ".venv").exists()
