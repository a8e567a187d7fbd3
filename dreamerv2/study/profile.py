"""Where the time of a train step goes, by TensorFlow's profiler."""

import collections
import re
import tempfile
from pathlib import Path

KINDS = {
    "convolutions": r"Conv",
    "matrix products": r"MatMul",
    "sums of rows": r"SparseSegment",
    "optimisers": r"Apply|L2Loss",
    "noise and samples": r"Random|ArgMax|OneHot",
    "copies and casts": r"Concat|Pack|Slice|Pad|Transpose|Cast|Tile|Split|Gather",
}
OTHER = "element by element, sums and the rest"
STEPS = 4


def operations(agent, batch) -> dict[str, tuple[str, float]]:
    """name of each operation -> its kind of operation, and its shortest time in seconds."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    from kit.tensors.tf import quiet, tf

    found: dict[str, tuple[str, float]] = {}
    agent.train(batch)
    for _ in range(STEPS):
        with tempfile.TemporaryDirectory() as folder, quiet():
            tf.profiler.experimental.start(folder)
            agent.train(batch)
            tf.profiler.experimental.stop()
            path = next(Path(folder).rglob("*.xplane.pb"))
            space = xplane_pb2.XSpace()
            space.ParseFromString(path.read_bytes())
        for name, seconds in _durations(space).items():
            kind = name.rpartition(":")[2]
            before = found.get(name, (kind, float("inf")))[1]
            found[name] = (kind, min(before, seconds))
    return found


def _durations(space) -> dict[str, float]:
    """name:kind -> seconds, all its calls."""
    durations: dict[str, float] = collections.defaultdict(float)
    for plane in space.planes:
        names = {key: data.name for key, data in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                name = names[event.metadata_id]
                if re.fullmatch(r"[^:$ ]+:[A-Za-z0-9_]+", name):
                    durations[name] += event.duration_ps / 1e12
    return durations


def shares(agent, batch) -> list[tuple[str, float]]:
    """Kinds of work and their share of a step, largest first."""
    totals: dict[str, float] = collections.Counter()
    for kind, seconds in operations(agent, batch).values():
        group = next((name for name, form in KINDS.items() if re.search(form, kind)), OTHER)
        totals[group] += seconds
    whole = sum(totals.values())
    ordered = sorted(totals.items(), key=lambda pair: -pair[1])
    return [(name, seconds / whole) for name, seconds in ordered]
