#!/usr/bin/env bash
# Train V, encode the recordings, train M: bash gpu_jobs.bash [--preset smoke|laptop|paper]
set -euo pipefail
cd "$(dirname "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
preset=(--preset laptop); [ $# -gt 0 ] && preset=("$@")
"$PYTHON" vae_train.py "${preset[@]}"
"$PYTHON" series.py "${preset[@]}"
"$PYTHON" rnn_train.py "${preset[@]}"
mkdir -p tf_models log
cp tf_vae/vae.json tf_rnn/rnn.json tf_initial_z/initial_z.json tf_models/
cp tf_vae/vae.{hist,settings}.json tf_rnn/rnn.{hist,settings}.json log/
