#!/usr/bin/env bash
# Record an agent, let V and M go on learning from what it meets, learn in the dream which way it
# should have moved, and evolve C on from it along that, in round2/.
#   bash next_round.bash 2 log/doomrnn.cma.16.64.best.json [--preset smoke]
#   bash next_round.bash 3 round2/log/doomrnn.cma.16.64.best.json           and so on
# Needs record/, and the weights of the round before: round2/, round3/ ..., or else tf_models/. Its
# result is an agent in round2/log with V, M and first latents of its own: model.py ... --models round2
set -euo pipefail
cd "$(dirname "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
refuse() { echo "next_round.bash: expected $1" >&2; exit 2; }
[[ "${1:-}" =~ ^[2-9]$ ]] || refuse "a round's number, 2 to 9, and an agent's json"
[ -f "${2:-}" ] || refuse "an agent's json, found '${2:-}'"
number=$1 agent=$2 round=round$1 before=round$(($1 - 1))
[ -d "$before" ] || before=tf_models
record=(--episodes 1500 --noise 0.03) vae=(--steps 5000 --max_files 4000) rnn=(--steps 4000)
warm=(--temperature 1.1)
train=(--generations 40 --eval_steps 10 --eval_episodes 256 --eval_world doomrnn --average 10)
train+=(--sigma_init 0.2 --components 32 --along "$agent" "$round/advantage.json")
if [ "${3:-} ${4:-}" = "--preset smoke" ]; then
  record=(--episodes 4) vae=(--steps 6) rnn=(--steps 4) train=()
fi
preset=(--preset laptop); [ $# -gt 2 ] && preset=("${@:3}")
bash extract.bash "${preset[@]}" --agent "$agent" --models "$before" --seed $((number - 1)) \
  "${record[@]}" --output "record_$round"
export ESTOOL_PARENT=$$  # a stage ends with this script, also after a kill -9
rates=(--learning_rate 5e-4) recordings=(--record record record_round*)
"$PYTHON" vae_train.py "${preset[@]}" --weights "$before/vae.json" "${rates[@]}" "${vae[@]}" \
  "${recordings[@]}" --output "$round/tf_vae"
"$PYTHON" series.py "${preset[@]}" --vae "$round/tf_vae/vae.json" "${recordings[@]}" \
  --output "$round/series"
"$PYTHON" rnn_train.py "${preset[@]}" --weights "$before/rnn.json" "${rates[@]}" "${rnn[@]}" \
  --series "$round/series/series.npz" --vae "$round/tf_vae/vae.json" --output "$round/tf_rnn" \
  --initial_z "$round/initial_z.json"
ship() { mkdir -p "$2"; cp "$1" "$2/.new" && mv "$2/.new" "$2/${1##*/}"; }  # whole or not at all
ship "$round/tf_vae/vae.json" "$round"
ship "$round/tf_rnn/rnn.json" "$round"
"$PYTHON" advantage.py "$agent" "${preset[@]}" "${warm[@]}" --models "$round" \
  --output "$round/advantage.json"
"$PYTHON" train.py "${preset[@]}" "${warm[@]}" "${train[@]}" --init_opt "$agent" \
  --seed_start "${number}11" --models "$round" --directory "$round"
