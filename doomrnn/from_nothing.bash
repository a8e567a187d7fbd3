#!/usr/bin/env bash
# The full training run, from no data to an agent of three rounds: 2 hours on 2 cores.
#   bash from_nothing.bash               SEED=2 bash from_nothing.bash is another run
#   bash from_nothing.bash --preset smoke     ROUNDS=2 bash from_nothing.bash ends a round earlier
# Its weights and first agent replace the shipped ones in tf_models/ and log/ (git has those). Its
# last agent is in round3/. Started again, it goes on where it stopped.
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
export PYTHON SEED=${SEED:-0}
ROUNDS=${ROUNDS:-3}
[[ "$ROUNDS" =~ ^[2-9]$ ]] || { echo "from_nothing.bash: expected 2 to 9 in ROUNDS, found '$ROUNDS'" >&2; exit 2; }
preset=(--preset laptop) agent=log/doomrnn.cma.2.128.best.json last=log/doomrnn.cma.16.64.best.json
[ $# -gt 0 ] && preset=("$@")
[ "${preset[*]}" = "--preset smoke" ] && agent=log/doomrnn.cma.2.6.best.json last=$agent
bash extract.bash "${preset[@]}" --seed "$SEED"
bash gpu_jobs.bash "${preset[@]}"
ESTOOL_PARENT=$$ "$PYTHON" train.py "${preset[@]}" --seed_start $((10#$SEED * 10 + 1))
for ((round = 2; round <= ROUNDS; round++)); do
  bash next_round.bash "$round" "$agent" "${preset[@]}"
  agent=round$round/$last
done
echo "score it: python model.py doomreal norender $agent --models round$ROUNDS"
