# Makes .venv beside this file, installs requirements.txt and puts its python first in PATH.
# To be sourced: `source setup.bash`. A second start finds the stamp of the first and does nothing;
# an interrupted installation is made anew, changed requirements are installed on top.

estool_setup() {
    local root=$1 venv=$1/.venv stamp found python
    # the place counts too: a .venv does not survive a move
    stamp=$(cat "$root/requirements.txt" "$root/pyproject.toml" <(echo "$root") | cksum)
    if [ "$(cat "$venv/installed" 2>/dev/null)" != "$stamp" ]; then
        if [ -e "$venv/installing" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
            for python in python3 python3.13 python3.12 python3.11 python3.10 ""; do
                found=$("$python" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null) || true
                [[ $found =~ ^\(3,\ 1[0-3]\)$ ]] && break
            done
            if [ -z "$python" ]; then
                echo "setup.bash: no Python 3.10, 3.11, 3.12 or 3.13 found in PATH" >&2
                return 2
            fi
            if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
                echo "setup.bash: $python has no venv or pip; install it (Debian: python3-venv)" >&2
                return 2
            fi
            echo "making .venv with $("$python" --version)" >&2
            rm -rf "$venv"
            mkdir "$venv" && touch "$venv/installing" && "$python" -m venv "$venv" || return 2
        fi
        echo "installing requirements.txt into .venv, once: 2.5 GB on disk, some minutes" >&2
        touch "$venv/installing"
        # Python 3.10 comes with a pip that looks for fitting versions for many minutes.
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip >&2 || true
        if ! (cd "$root" && "$venv/bin/python" -m pip install --quiet \
            --disable-pip-version-check --requirement requirements.txt >&2); then
            echo "setup.bash: pip could not install requirements.txt; its reason is above" >&2
            return 2
        fi
        echo "$stamp" >"$venv/installed"
        rm -f "$venv/installing"
    fi
    export PATH="$venv/bin:$PATH" PYTHONNOUSERSITE=1
    unset PYTHONHOME PYTHONPATH
}

estool_setup "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
