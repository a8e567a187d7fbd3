# Makes .venv beside this file, installs requirements.txt and puts its python first in PATH.
# To be sourced, by bash or zsh: `source setup.bash`. A second start finds the stamp of the first
# and does nothing. An interrupted installation is made anew. Changed requirements are installed on
# top, and a .venv that was complete stays as it was where that fails.

estool_setup() {
    local root=$1 venv=$1/.venv
    unset PYTHONHOME PYTHONPATH # of other Pythons, which would not start with it
    export PYTHONNOUSERSITE=1 PYTHONUTF8=${PYTHONUTF8:-1} # paths and files are UTF-8 in any locale
    estool_is_ready "$root" || estool_install_alone "$root" || return 2
    [ "${PATH#"$venv/bin:"}" != "$PATH" ] || export PATH="$venv/bin:$PATH"
}

estool_is_ready() {
    local stamp=
    { read -r stamp <"$1/.venv/installed"; } 2>/dev/null || true
    [ "$stamp" = "$(estool_stamp "$1")" ] && estool_starts "$1"
}

estool_stamp() { # of what is installed and where: packages' scripts hold the path of .venv
    { command cat "$1/requirements.txt" "$1/pyproject.toml" && printf '%s\n' "$1"; } | cksum
}

estool_starts() {
    "$1/.venv/bin/python" -c "" 2>/dev/null
}

estool_says() {
    printf 'setup.bash: %s\n' "$1" >&2
}

estool_install_alone() { # one at a time: file 9 is what is locked
    local root=$1 venv=$1/.venv
    case $root in *:*)
        estool_says "PATH cannot hold a folder with a colon in its name: rename $root"
        return 2 ;;
    esac
    if [ -e "$venv" ] && [ ! -O "$venv" ] && { [ ! -w "$venv" ] || ! estool_starts "$root"; }; then
        estool_says "$venv is another user's, and its Python does not start for you or has not \
what requirements.txt asks for now: make a clone of your own"
        return 2
    fi
    if [ ! -w "$root" ] || [ ! -w "$root/requirements.txt" ]; then
        estool_says "$root cannot be written to: make a clone of your own"
        return 2
    fi
    (PYTHONUTF8=1 && estool_install "$root") 9<>"$root/requirements.txt"
}

estool_install() {
    local root=$1 venv=$1/.venv python found
    for python in python3 python3.13 python3.12 python3.11 python3.10 ""; do
        found=$("$python" -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null) || true
        case $found in "3 10" | "3 11" | "3 12" | "3 13") break ;; esac
    done
    if [ -z "$python" ]; then
        estool_says "no Python 3.10, 3.11, 3.12 or 3.13 found in PATH"
        return 2
    fi
    estool_lock "$python" || return 2
    if estool_is_ready "$root"; then return 0; fi # another terminal has made it
    if [ ! -e "$venv/installed" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
            estool_says "$python has no venv or pip; install it (Debian: python3-venv)"
            return 2
        fi
        echo "making .venv with $("$python" --version)" >&2
        command rm -rf "$venv" && "$python" -m venv "$venv" || return 2
        echo "installing requirements.txt into .venv, once: 2.5 GB on disk, some minutes" >&2
        # Python 3.10 comes with a pip that looks for fitting versions for many minutes.
        estool_pip --upgrade pip || true
    else
        echo "bringing .venv up to date with requirements.txt and its place" >&2
    fi
    # Without "-e .": setuptools cannot build where a path has a $ in it, and writes the path down.
    command grep -v "^-e " "$root/requirements.txt" >|"$venv/requirements.txt"
    if ! estool_pip --requirement "$venv/requirements.txt"; then
        estool_says "pip could not install requirements.txt; its reason is above"
        return 2
    fi
    estool_place "$root" || return 2
    estool_stamp "$root" >|"$venv/installing" && command mv -f "$venv/installing" "$venv/installed"
}

estool_pip() {
    PIP_USER=0 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
}

estool_lock() { # the kernel ends it with the last process that has file 9
    "$1" - <<'END'
import fcntl, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("waiting for the setup.bash of another terminal", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError:
    pass  # a file system without locks
END
}

# Where kit and estool are, by a path that has no special characters and survives a move. Scripts
# of other packages begin with the path of .venv, which is another one after a move.
estool_place() {
    "$1/.venv/bin/python" - "$1" <<'END'
import os, pathlib, shlex, sys, sysconfig
scripts, packages = pathlib.Path(sys.prefix, "bin"), sysconfig.get_path("purelib")
pathlib.Path(packages, "estool.pth").write_text(os.path.relpath(sys.argv[1], packages) + "\n")
start = "#!/bin/sh\n'''exec' %s \"$0\" \"$@\"\n' '''\n" % shlex.quote(str(scripts / "python"))
for path in scripts.iterdir():
    data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    head, _, body = data.partition(b"\n")
    if head == b"#!/bin/sh" and body.startswith(b"'''exec' "):
        head, _, body = body.partition(b"\n' '''\n")
    elif not (head.startswith(b"#!") and b"/.venv/bin/python" in head):
        continue
    path.write_bytes(os.fsencode(start) + body)
END
}

if [ -n "${BASH_VERSION:-}" ]; then
    estool_root=${BASH_SOURCE[0]}
else
    eval 'estool_root=${(%):-%x}' # zsh's word for it, which bash cannot read
fi
# CDPATH would print a path; a link to the folder is the folder.
estool_root=$(CDPATH='' builtin cd -P -- "$(dirname -- "$estool_root")" && pwd -P)
estool_setup "$estool_root"
