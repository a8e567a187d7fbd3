"""For pytest in any room: no windows, no sound, no lines of TensorFlow; as test.bash has it."""

import os

for name, value in {
    "SDL_VIDEODRIVER": "dummy",
    "SDL_AUDIODRIVER": "dummy",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}.items():
    os.environ.setdefault(name, value)
