#!/usr/bin/env bash
# Evolve C on every core: bash gce_train.bash [--preset smoke|laptop|paper] [flags of train.py]
set -euo pipefail
cd "$(dirname "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
preset=(--preset laptop); [ $# -gt 0 ] && preset=("$@")
screen=()
if [ -z "${DISPLAY:-}${SDL_VIDEODRIVER:-}" ]; then
  if command -v xvfb-run >/dev/null; then
    screen=(xvfb-run -a -s "-screen 0 1400x900x24 +extension RANDR")
  else
    export SDL_VIDEODRIVER=dummy
  fi
fi
exec "${screen[@]}" "$PYTHON" train.py "${preset[@]}"
