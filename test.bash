#!/usr/bin/env bash
# All checks, from a fresh clone on: lint, format, the twins, and pytest once per room (the rooms'
# modules have the same names, so each needs a process of its own).
#
#   bash test.bash            everything
#   bash test.bash estool     only these rooms
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
source setup.bash || exit

# Two threads whatever the machine: tests run small sizes, where more only get in each other's way.
export OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 MKL_NUM_THREADS=2
export TF_NUM_INTRAOP_THREADS=2 TF_NUM_INTEROP_THREADS=2 TF_CPP_MIN_LOG_LEVEL=3
export SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy MPLBACKEND=agg

SECONDS=0
failed=()
check() { # check <name> <command ...>
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    "$@" || failed+=("$name")
    echo "== $name: $((SECONDS - start)) s"
}
room() (cd "$1" && exec python -m pytest -q --durations=5)

check "ruff check" ruff check .
check "ruff format" ruff format --check .
check twins cmp carracing/vae.py doomrnn/vae.py
[ $# -gt 0 ] || set -- estool carracing doomrnn notebooks faults
for folder in "$@"; do
    if compgen -G "$folder/*_test.py" >/dev/null; then
        check "pytest $folder" room "$folder"
    fi
done

echo "total: $SECONDS s"
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo "all passed"
