#!/usr/bin/env bash
# Replay the shipped agents in the real games: scores beside the random policies', videos, strips.
#
#   bash demo.bash          some minutes, once .venv is there
#   EPISODES=100 bash demo.bash
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
source setup.bash
export SDL_VIDEODRIVER=${SDL_VIDEODRIVER:-dummy} TF_CPP_MIN_LOG_LEVEL=3
episodes=${EPISODES:-8}
mkdir -p demo

last_line() { tee -a /dev/stderr | tail -1; }

cd doomrnn
agent=log/doomrnn.cma.16.64.best.json
echo "== DoomTakeCover: the random policy, $episodes episodes of the real game"
doom_random=$(python model.py doomreal norender --policy random --episodes "$episodes" | last_line)
echo "== DoomTakeCover: the shipped agent, evolved in its own dream, on the same episodes"
doom_trained=$(python model.py doomreal norender "$agent" --episodes "$episodes" | last_line)
echo "== one episode as pictures"
python model.py doomreal render "$agent" 3 --max_length 350 \
    --video ../demo/doom.mp4 --strip ../demo/doom.png

cd ../carracing
agent=log/carracing.cma.16.64.best.json
echo "== CarRacing: the random policy, $episodes tracks of gymnasium's own CarRacing-v3"
car_random=$(python model.py norender --policy random --episodes "$episodes" | last_line)
echo "== CarRacing: the shipped agent on the same tracks"
car_trained=$(python model.py norender "$agent" --episodes "$episodes" | last_line)
echo "== some of one lap as pictures"
python model.py render "$agent" 3 --max_length 350 \
    --video ../demo/car.mp4 --strip ../demo/car.png

cd ..
agent=dreamerv2/zoo/carracing.npz
echo "== CarRacing: the agent that DreamerV2 trained, on the same tracks"
car_dreamer=$(python dreamerv2/evaluate.py "$agent" --episodes "$episodes" | tee -a /dev/stderr | grep average_reward)
echo "== inside the world that DreamerV2 imagines: five steps of the game, then only moves"
python dreamerv2/play.py "$agent" --actor --steps 250 --dreams 1 --video demo/dream.mp4

echo
echo "DoomTakeCover  random   $doom_random"
echo "               trained  $doom_trained"
echo "CarRacing      random   $car_random"
echo "               trained  $car_trained"
echo "            DreamerV2   $car_dreamer"
echo "demo/doom.mp4, demo/doom.png, demo/car.mp4, demo/car.png: the real game, what the agent sees of"
echo "it, and V's reconstruction; the strips' last row is what M dreams; demo/dream.mp4: DreamerV2's"
