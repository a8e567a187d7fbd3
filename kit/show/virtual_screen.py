"""Windows driven by keys on a virtual screen: for the tests of play and watch.

Needs Xvfb (xvfb-run) and xdotool; `MISSING` names what is not installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

MISSING = ", ".join(name for name in ("xvfb-run", "xdotool") if not shutil.which(name))

# SDL names a window's class after the script. Whatever is still there at the end is counted.
SCRIPT = """
class=$1 keys=$2; shift 2
"$@" & pid=$!
trap 'kill $pid 2>/dev/null' EXIT
for _ in $(seq 2000); do
    xdotool search --class "$class" >/dev/null 2>&1 && break
    kill -0 $pid || exit
    sleep .1
done
eval "$keys"
wait $pid; status=$?
echo "windows left: $(xdotool search --class "$class" 2>/dev/null | wc -l)"
exit $status
"""


def drive(
    script: str, arguments: Sequence[str], keys: str, folder: str | os.PathLike
) -> subprocess.CompletedProcess:
    """Run a python script in `folder`, and the shell commands `keys` once its window is there.

    `keys` are such as "xdotool keydown Up; sleep 1; xdotool key Escape" and must end the script;
    after five minutes it is killed and subprocess.TimeoutExpired raised. The last line of the
    output is "windows left: 0" where none is left.
    """
    environment = {name: os.environ[name] for name in os.environ if name != "SDL_VIDEODRIVER"}
    command = ["xvfb-run", "-a", "-s", "-screen 0 1400x900x24", "bash", "-c", SCRIPT, "drive"]
    return subprocess.run(
        [*command, script, keys, sys.executable, script, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
