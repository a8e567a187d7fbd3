#!/usr/bin/env bash
# All checks, from a fresh clone on: lint, format, the twins, and pytest once per room. The rooms'
# modules have the same names, so each room needs a separate process.
#
#   bash test.bash            everything
#   bash test.bash estool     only these rooms
set -uo pipefail
CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
source setup.bash || exit

# Two threads whatever the machine: tests run small sizes, where more only get in each other's way.
export OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 MKL_NUM_THREADS=2
export TF_NUM_INTRAOP_THREADS=2 TF_NUM_INTEROP_THREADS=2 TF_CPP_MIN_LOG_LEVEL=3
export SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy MPLBACKEND=agg

SECONDS=0
failed=()
check() { # check <name> <command ...>
    local name=$1
    shift
    "$@" && echo "== $name: passed" || failed+=("$name")
}
room() { # pytest in one room, its name before each line
    local start=$SECONDS status
    (cd "$1" && exec python -m pytest -q --durations=5 2>&1) | sed -u "s/^/$1: /"
    status=${PIPESTATUS[0]}
    echo "== pytest $1: status $status after $((SECONDS - start)) s"
    return "$status"
}
export -f room
exec 3>&1

check "ruff check" ruff check .
check "ruff format" ruff format --check .
for file in vae.py fast/vae_layers.py vae_train.py rnn_train.py; do
    check "twins $file" cmp "carracing/$file" "doomrnn/$file"
done
for file in vae.py fast/vae_layers.py; do
    check "twins anyenv $file" cmp "carracing/$file" "anyenv/$file"
done
[ $# -gt 0 ] || set -- doomrnn carracing dreamerv2 anyenv notebooks estool faults kit
for folder in "$@"; do
    compgen -G "$folder/*_test.py" >/dev/null || compgen -G "$folder/tests/*_test.py" >/dev/null || failed+=("$folder has no tests")
done
# Two rooms at a time, the longest first: for much of its time a test starts, compiles or waits.
while read -r folder; do failed+=("pytest $folder"); done < <(
    printf '%s\n' "$@" | xargs -n 1 -P 2 bash -c 'room "$0" >&3 || echo "$0"'
)

echo "total: $SECONDS s"
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo "all passed"
