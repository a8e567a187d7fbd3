#!/usr/bin/env bash
# Make the README's pictures anew from the shipped agents, into pictures/. For each agent: an
# animation, and a strip of the game, of what V keeps of it, and of M's dream. The dream begins with
# the same frames. Doom's gets the same moves, in CarRacing's the agent drives on. Then: where Doom's
# agent walks, the learning curves, the figure of V, M and C, a strip of estool's zoo. Two minutes at
# most on 2 idle cores; needs no screen.
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
source setup.bash
export SDL_VIDEODRIVER=dummy TF_CPP_MIN_LOG_LEVEL=3

draw() { # draw <name> <room> <steps> <seed> <model.py's first arguments>
    local name=$1 room=$2 steps=$3 seed=$4 agent
    shift 4
    agent=$(cd "$room" && compgen -G "log/$room.cma.*.best.json" | head -1) || true
    if [ -z "$agent" ]; then
        echo "no agent in $room/log: pictures/$name.* are left as they are"
        return
    fi
    echo "== $room: $agent"
    (cd "$room" && python model.py "$@" "$agent" "$seed" --max_length "$steps" \
        --gif "../pictures/$name.gif" --strip "../pictures/$name.png")
}

draw doom doomrnn 200 0 doomreal render
draw carracing carracing 350 3 render
(cd doomrnn && python -m study.walk log/doomrnn.cma.*.best.json --output ../pictures/doom_walk.png)
python pictures/draw.py
python pictures/zoo.py
rounds=(log/{first_round,second_round}/carracing.cma.4.64 log/carracing.cma.16.64)
(cd carracing && python -m study.curves "${rounds[@]}" --output ../pictures/carracing_learning.png)
ls -l pictures/*.gif pictures/*.png
