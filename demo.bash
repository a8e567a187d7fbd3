#!/usr/bin/env bash
# Replay the shipped agent in the real game: scores beside the random policy's, a video, a strip.
#
#   bash demo.bash          a minute, once .venv is there
#   EPISODES=100 bash demo.bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source setup.bash
export SDL_VIDEODRIVER=${SDL_VIDEODRIVER:-dummy} TF_CPP_MIN_LOG_LEVEL=3
agent=log/doomrnn.cma.16.64.best.json
episodes=${EPISODES:-8}
mkdir -p demo
cd doomrnn

echo "== DoomTakeCover: the random policy, $episodes episodes of the real game"
random=$(python model.py doomreal norender --policy random --episodes "$episodes" | tee /dev/stderr | tail -1)
echo "== DoomTakeCover: the shipped agent, evolved in its own dream, on the same episodes"
trained=$(python model.py doomreal norender "$agent" --episodes "$episodes" | tee /dev/stderr | tail -1)
echo "== one episode as pictures"
python model.py doomreal render "$agent" 3 --max_length 350 \
    --video ../demo/doom.mp4 --strip ../demo/doom.png

echo
echo "random   $random"
echo "trained  $trained"
echo "demo/doom.mp4 and demo/doom.png: the game, its 64x64 crop, V's reconstruction; the strip's last"
echo "row is M's dream, begun with the same frames and given the same moves"
