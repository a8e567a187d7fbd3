#!/usr/bin/env bash
# Record an agent, let V and M go on learning from what it meets, and evolve C on from it, in round2/.
#   bash second_round.bash log/carracing.cma.4.64.best.json [--preset smoke]
# Needs the first round's record/, and its weights in vae/ and rnn/. Its result is an agent in
# round2/log with V, M and first latents of its own: python model.py ... --models round2
set -euo pipefail
cd "$(dirname "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
[ $# -gt 0 ] || { echo "second_round.bash: expected an agent's json" >&2; exit 2; }
agent=$1 round=round2
record=(--episodes 600 --stock_every 20) vae=(--steps 4000) rnn=(--steps 3000)
train=(--generations 30 --eval_episodes 256)
if [ "${2:-} ${3:-}" = "--preset smoke" ]; then
  record=(--episodes 4) vae=(--steps 6) rnn=(--steps 4) train=()
fi
preset=(--preset laptop); [ $# -gt 1 ] && preset=("${@:2}")
bash extract.bash "${preset[@]}" --agent "$agent" --seed 1 "${record[@]}"
export ESTOOL_PARENT=$$  # a stage ends with this script, also after a kill -9
rates=(--learning_rate 5e-4)
"$PYTHON" vae_train.py "${preset[@]}" --weights vae/vae.json "${rates[@]}" "${vae[@]}" \
  --output $round/tf_vae
"$PYTHON" series.py "${preset[@]}" --vae $round/tf_vae/vae.json --output $round/series
"$PYTHON" rnn_train.py "${preset[@]}" --weights rnn/rnn.json "${rates[@]}" "${rnn[@]}" \
  --series $round/series/series.npz --vae $round/tf_vae/vae.json --output $round/tf_rnn \
  --initial_z $round/initial_z/initial_z.json
ship() { mkdir -p "$2"; cp "$1" "$2/.new" && mv "$2/.new" "$2/${1##*/}"; }  # whole or not at all
ship $round/tf_vae/vae.json $round/vae
ship $round/tf_rnn/rnn.json $round/rnn
"$PYTHON" train.py "${preset[@]}" "${train[@]}" --init_opt "$agent" --sigma_init 0.08 \
  --seed_start 211 --models $round --directory $round
