#!/usr/bin/env bash
# Train V, encode the recordings, train M: bash gpu_jobs.bash [--preset smoke|laptop|paper]
# SEED=2 bash gpu_jobs.bash trains others.
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
export ESTOOL_PARENT=$$  # a stage ends with this script, also after a kill -9
preset=(--preset laptop) seed=(--seed "${SEED:-0}"); [ $# -gt 0 ] && preset=("$@")
"$PYTHON" vae_train.py "${preset[@]}" "${seed[@]}"
"$PYTHON" series.py "${preset[@]}"
"$PYTHON" rnn_train.py "${preset[@]}" "${seed[@]}"
# Smoke sizes learn nothing: they never take the place of weights that are there.
keep=(); [ "${preset[*]:0:2}" = "--preset smoke" ] && keep=(--keep)
install() { "$PYTHON" -m kit.files.install "$@" "${keep[@]}"; }
install tf_vae/vae.json tf_rnn/rnn.json tf_initial_z/initial_z.json --to tf_models
install tf_{vae/vae,rnn/rnn}.{hist,settings}.json --to log
