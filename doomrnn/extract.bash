#!/usr/bin/env bash
# Record the random policy on every core: bash extract.bash [--preset smoke|laptop|paper] [flags of extract.py]
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
count='from kit.command.limits import usable_cores; print(usable_cores())'  # nproc knows no quota
workers=${WORKERS:-$("$PYTHON" -c "$count")}
export OMP_NUM_THREADS=1
export ESTOOL_PARENT=$$  # the workers end with this script, also after a kill -9
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait' EXIT
for worker in $(seq 0 $((workers - 1))); do
  "$PYTHON" extract.py --preset laptop "$@" --workers "$workers" --worker "$worker" & pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
