"""For pytest in any room: no windows, no sound, no lines of TensorFlow; as test.bash has it.

And Ctrl-C is heard: a shell's background ignores it, and so would every command that a test starts.
"""

import os
import signal

for name, value in {
    "SDL_VIDEODRIVER": "dummy",
    "SDL_AUDIODRIVER": "dummy",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}.items():
    os.environ.setdefault(name, value)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
