#!/usr/bin/env bash
# Evolve C on every core: bash gce_train.bash [--preset smoke|laptop|paper] [flags of train.py]
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "$0")"
[ -n "${PYTHON:-}" ] || { source ../setup.bash; PYTHON=python; }
preset=(--preset laptop); [ $# -gt 0 ] && preset=("$@")
export SDL_VIDEODRIVER=${SDL_VIDEODRIVER:-dummy}  # no window opens: xvfb-run would add nothing
exec "$PYTHON" train.py "${preset[@]}"
