#!/usr/bin/env bash
# Train V, encode the recordings, train M: bash gpu_jobs.bash [--preset smoke|laptop|paper]
# SEED=2 bash gpu_jobs.bash trains others.
set -euo pipefail
cd "$(dirname "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
export ESTOOL_PARENT=$$  # a stage ends with this script, also after a kill -9
preset=(--preset laptop) seed=(--seed "${SEED:-0}"); [ $# -gt 0 ] && preset=("$@")
"$PYTHON" vae_train.py "${preset[@]}" "${seed[@]}"
"$PYTHON" series.py "${preset[@]}"
"$PYTHON" rnn_train.py "${preset[@]}" "${seed[@]}"
ship() { mkdir -p "$2"; cp "$1" "$2/.new" && mv "$2/.new" "$2/${1##*/}"; }  # whole or not at all
ship tf_vae/vae.json vae
ship tf_rnn/rnn.json rnn
ship tf_initial_z/initial_z.json initial_z
for file in tf_vae/vae.{hist,settings}.json tf_rnn/rnn.{hist,settings}.json; do ship "$file" log; done
