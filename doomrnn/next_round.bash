#!/usr/bin/env bash
# A next round: record an agent in the game, with noise in its weights. Train M on with what was met.
# Learn in its dream how the agent should have moved, and evolve C anew along that, in round2/first/.
# Do the last two once more, with more dreams a candidate, in round2/.
#   bash next_round.bash 2 log/doomrnn.cma.2.128.best.json [--preset smoke]
#   bash next_round.bash 3 round2/log/doomrnn.cma.16.64.best.json           and so on
# Needs record/, and the weights of the round before: round2/, round3/ ..., or else tf_models/. Its
# result is an agent in round2/log, with its M and first latents in round2/: model.py ... --models
# round2. SEED=2 bash next_round.bash ... makes another one.
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
refuse() { echo "next_round.bash: expected $1" >&2; exit 2; }
[[ "${1:-}" =~ ^[2-9]$ ]] || refuse "a round's number, 2 to 9, and an agent's json"
[ -f "${2:-}" ] || refuse "an agent's json, found '${2:-}'"
[[ "${SEED:-0}" =~ ^[0-9]+$ ]] || refuse "a whole number in SEED, found '$SEED'"
number=$1 agent=$2 round=round$1 before=round$(($1 - 1)) seed=$((10#${SEED:-0} * 10 + $1))
[ -d "$before" ] || before=tf_models
record=(--episodes 400 --noise 0.03) rnn=(--steps 1500 --log_every 500)
last=(--population 64 --num_episode 16 --average 15)
along=()
for ((earlier = 2; earlier < number; earlier++)); do
  for found in "round$earlier"/{first/,}advantage.json; do [ -f "$found" ] && along+=("$found"); done
done
smoke=no
if [ "${3:-} ${4:-}" = "--preset smoke" ]; then record=(--episodes 4) rnn=(--steps 4) last=() smoke=yes; fi
preset=(--preset laptop); [ $# -gt 2 ] && preset=("${@:3}")
bash extract.bash "${preset[@]}" --agent "$agent" --models "$before" --seed "$seed" \
  "${record[@]}" --output "$round/record"
export ESTOOL_PARENT=$$  # a stage ends with this script, also after a kill -9
vae=(--vae "$before/vae.json")
"$PYTHON" series.py "${preset[@]}" "${vae[@]}"
"$PYTHON" series.py "${preset[@]}" "${vae[@]}" --record "$round/record" --output "$round/series"
all=(series/series.npz)
for earlier in $(seq 2 "$number"); do
  [ -f "round$earlier/series/series.npz" ] && all+=("round$earlier/series/series.npz")
done
"$PYTHON" rnn_train.py "${preset[@]}" "${vae[@]}" --weights "$before/rnn.json" --seed "$seed" \
  --learning_rate 5e-4 "${rnn[@]}" --series "${all[@]}" --output "$round/tf_rnn" \
  --initial_z "$round/initial_z.json"
"$PYTHON" -m kit.files.install "$before/vae.json" "$round/tf_rnn/rnn.json" --to "$round"
turn() {  # turn FOLDER AGENT [FLAGS]: learn what the agent should have done, search along that
  mkdir -p "$1"
  "$PYTHON" advantage.py "$2" "${preset[@]}" --models "$round" --seed "$seed" \
    --output "$1/advantage.json"
  along+=("$2" "$1/advantage.json")
  local search=(--along "${along[@]}")
  [ $smoke = yes ] && search=()
  "$PYTHON" train.py "${preset[@]}" "${search[@]}" --seed_start "$seed" --models "$round" \
    --directory "$1" "${@:3}"
}
turn "$round/first" "$agent"
turn "$round" "$round"/first/log/*.best.json "${last[@]}"
