#!/usr/bin/env bash
# Record the random policy on every core: bash extract.bash [--preset smoke|laptop|paper] [flags of extract.py]
set -euo pipefail
cd "$(dirname "$0")"
PYTHON=${PYTHON:-../.venv/bin/python}
export OMP_NUM_THREADS=1
workers=${WORKERS:-$(nproc)}
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
for worker in $(seq 0 $((workers - 1))); do
  "$PYTHON" extract.py --preset laptop "$@" --workers "$workers" --worker "$worker" & pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
