#!/usr/bin/env bash
# From nothing to an agent by one config, in rounds: record, train V, encode, train M, evolve C.
#
#   bash train.bash configs/cartpole.json 600             one round of 600 games
#   bash train.bash configs/cartpole_dream.json 600 800   then 200 games of the agent, and all again
#
# Each number is how many games are recorded in the end of a round: the first ones by the config's
# generating_agent, the others by neighbours of the agent of the round before. The files lie in
# data/<config>/, and where the config says. Started again, it goes on where it stopped.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: bash train.bash CONFIG GAMES [GAMES ...]" >&2; exit 2; }
config=$1
shift
run="$(dirname "${BASH_SOURCE[0]}")/run.py"
data=data/$(basename "$config" .json)
command() { python "$run" -c "$config" --render "$@"; }
agent=()
for games in "$@"; do
    command record_data "$data/vae.hdf5" -n "$games" "${agent[@]}"
    command train_vae "$data/vae.hdf5"
    command convert_data "$data/vae.hdf5" "$data/mem.hdf5"
    command train_mem "$data/mem.hdf5"
    command train_ctrl --next_round
    agent=(--agent agent)
done
command --no-render eval -n 100
