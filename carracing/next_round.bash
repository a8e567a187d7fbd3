#!/usr/bin/env bash
# A next round: record an agent, train V and M on with what it meets, evolve C on from it, in round2/.
#   bash next_round.bash 2 log/carracing.cma.16.64.best.json [--preset smoke]
#   bash next_round.bash 3 round2/log/carracing.cma.16.64.best.json           and so on
# Needs record/, and the weights of the round before: round2/, round3/ ..., or else vae/ and rnn/. Its
# result is an agent in round2/log, with its V, M and first latents in round2/: model.py ... --models
# round2
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
refuse() { echo "next_round.bash: expected $1" >&2; exit 2; }
[[ "${1:-}" =~ ^[2-9]$ ]] || refuse "a round's number, 2 to 9, and an agent's json"
[ -f "${2:-}" ] || refuse "an agent's json, found '${2:-}'"
number=$1 agent=$2 round=round$1 before=round$(($1 - 1))
[ -d "$before" ] || before=.
record=(--episodes 600 --stock_every 20) vae=(--steps 5000) rnn=(--steps 3000)
train=(-e 16 --eval_steps 5 --eval_episodes 256 --generations 20)
if [ "${3:-} ${4:-}" = "--preset smoke" ]; then
  record=(--episodes 4) vae=(--steps 6) rnn=(--steps 4) train=()
fi
preset=(--preset laptop); [ $# -gt 2 ] && preset=("${@:3}")
bash extract.bash "${preset[@]}" --agent "$agent" --models "$before" --seed $((number - 1)) \
  "${record[@]}" --output "$round/record"
export ESTOOL_PARENT=$$  # a stage ends with this script, also after a kill -9
rates=(--learning_rate 5e-4) recordings=(--record record round[2-9]/record)
"$PYTHON" vae_train.py "${preset[@]}" --weights "$before/vae/vae.json" "${rates[@]}" "${vae[@]}" \
  "${recordings[@]}" --output "$round/tf_vae"
"$PYTHON" series.py "${preset[@]}" --vae "$round/tf_vae/vae.json" "${recordings[@]}" \
  --output "$round/series"
"$PYTHON" rnn_train.py "${preset[@]}" --weights "$before/rnn/rnn.json" "${rates[@]}" "${rnn[@]}" \
  --series "$round/series/series.npz" --vae "$round/tf_vae/vae.json" --output "$round/tf_rnn" \
  --initial_z "$round/initial_z/initial_z.json"
"$PYTHON" -m kit.files.install "$round/tf_vae/vae.json" --to "$round/vae"
"$PYTHON" -m kit.files.install "$round/tf_rnn/rnn.json" --to "$round/rnn"
"$PYTHON" train.py "${preset[@]}" "${train[@]}" --init_opt "$agent" --sigma_init 0.06 \
  --seed_start "${number}11" --models "$round" --directory "$round"
