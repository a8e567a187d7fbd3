"""Everything that may happen to a long run, at random from a seed: what was tried, what survived.

  python faults.py --rounds 20                     all of it
  python faults.py --rounds 50 --only 'extract|toy'      what matches this
  python faults.py --list                          the names
  python faults.py --table a.json b.json           the table of what is counted in these

A round is one of these: a stage that is interrupted up to twelve times at random moments, started
again with the same command, and compared with a run that was left alone; a handful of bad files or
flags; a bad place to run in. Prints a line for each round and then a table. With --output the
counts are added to those of a json file after each round, so that a long run can be split into
several of other seeds or other rounds. Exit status 1 where anything was lost, left behind or
answered with a traceback. A round's CPU time lacks that of processes whose parents were killed.
"""

from kit.command import cli

if __name__ == "__main__":
    cli.begin()

import re
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from kit.command.errors import UserError
from kit.files.atomic import read_json, write_json

import bad_input
import interruptions
import processes
import situations
import surroundings


def parse(argv=None):
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("--rounds", type=cli.positive_int, default=20, help="how many rounds")
    add("--minutes", type=cli.positive_float, help="begin no round after so long")
    add("--seed", type=cli.non_negative_int, default=0, help="fixes what is tried, and when")
    add("--only", default="", help="rounds whose names match this")
    add("--list", action="store_true", help="print the names of all rounds and end")
    text = "keep the runs that were left alone here, for later starts of the same code"
    add("--rooms", type=Path, help=text)
    add("--output", type=Path, help="add the counts to this json file")
    text = "print the table of such files, added up, and end"
    add("--table", type=cli.existing_file, nargs="+", metavar="FILE", help=text)
    return cli.parse(parser, argv=argv)


def catalogue() -> list[tuple[str, float, object]]:
    """All rounds: name, how often one is drawn among the others, a function (rooms, rng, folder).

    Each returns a list of (row of the table, column, how often) and a list of faults.
    """
    result = []
    for stage in interruptions.stages():

        def interrupted(rooms, rng, folder, stage=stage):
            outcome = interruptions.run(stage, rooms, rng, folder)
            counts = [(f"interrupted: {stage.name}", k, n) for k, n in outcome.tried.items()]
            return counts, outcome.faults

        result.append((f"interrupted: {stage.name}", stage.weight, interrupted))
    for name, (function, weight) in bad_input.KINDS.items():

        def given(rooms, rng, folder, name=name, function=function):
            outcome = function(rooms, rng, folder)
            return [(f"bad input: {name}", "given", len(outcome.given))], outcome.faults

        result.append((f"bad input: {name}", weight, given))
    for name, function in (surroundings.KINDS | situations.KINDS).items():

        def placed(rooms, rng, folder, name=name, function=function):
            tried, faults = function(rooms, rng, folder)
            return [(f"surroundings: {name}", "tried", tried)], faults

        result.append((f"surroundings: {name}", 1, placed))
    return result


class Tally:
    """How often what was tried, what did not survive it, and which runs are counted in it."""

    def __init__(self):
        self.tried: dict[str, Counter] = {}
        self.failed: Counter = Counter()
        self.runs: list[str] = []

    def merge(self, path: Path) -> None:
        """Add what another one has saved; UserError where it is none, or counts a run twice."""
        saved = read_json(path)
        try:
            tried = {row: Counter(counts) for row, counts in saved["tried"].items()}
            failed, runs = Counter(saved["failed"]), list(saved["runs"])
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}: expected counts of --output, found another file") from error
        if twice := set(runs) & set(self.runs):
            raise UserError(f"{path}: the run {min(twice)} is counted already")
        for row, counts in tried.items():
            self.tried.setdefault(row, Counter()).update(counts)
        self.failed.update(failed)
        self.runs += runs

    def add(self, row: str, column: str, count: int) -> None:
        self.tried.setdefault(row, Counter())[column] += count

    def save(self, path: Path) -> None:
        values = {"tried": self.tried, "failed": self.failed, "runs": self.runs}
        write_json(path, values, indent=1)

    def table(self) -> str:
        """In Markdown: interruptions by kind, then the rest."""
        kinds = interruptions.KINDS
        lines = [f"| interrupted | {' | '.join(kinds)} | all | lost |", "|---" * 7 + "|"]
        rows = {row: counts for row, counts in self.tried.items() if row.startswith("interr")}
        total = Counter()
        for row, counts in sorted(rows.items()):
            total += counts
            lines.append(self._line(row, [counts[kind] for kind in kinds], True))
        lines.append(self._line("all: all", [total[kind] for kind in kinds], True, rows))
        lines += ["", "| given or placed | how often | failed |", "|---|---|---|"]
        for row, counts in sorted(self.tried.items()):
            if row not in rows:
                lines.append(self._line(row, [counts.total()], False))
        return "\n".join(lines)

    def _line(self, row: str, counts: list[int], summed: bool, rows=None) -> str:
        failed = sum(self.failed[name] for name in (rows or [row]))
        name = row.split(": ", 1)[1] if summed else row
        cells = [name, *counts, *([sum(counts)] if summed else []), failed]
        return f"| {' | '.join(map(str, cells))} |"


def main(argv=None):
    args = parse(argv)
    tally = Tally()
    if args.table:
        for path in args.table:
            tally.merge(path)
        print(tally.table())
        return
    try:
        rounds = [entry for entry in catalogue() if re.search(args.only, entry[0])]
    except re.error as error:
        raise UserError(f"--only {args.only!r} is no regular expression ({error})") from error
    if args.list:
        print("\n".join(name for name, _, _ in rounds))
        return
    if not rounds:
        raise UserError(f"--only: no round has {args.only!r} in its name; see --list")
    if args.output and args.output.exists():
        tally.merge(args.output)
    run = f"--seed {args.seed} --only {args.only!r}"
    if run in tally.runs:  # it would try the same once more
        raise UserError(f"{args.output} counts {run} already: give another --seed")
    tally.runs.append(run)
    processes.load_what_stages_load()
    failures = play(args, rounds, tally)
    print(tally.table())
    if failures:
        sys.exit(1)


def play(args, rounds, tally: Tally) -> int:
    """All rounds; returns how many of them failed."""
    rng = np.random.default_rng(args.seed)
    weights = np.array([weight for _, weight, _ in rounds], float)
    failures, began = 0, time.monotonic()
    # no TemporaryDirectory: forked processes would remove it at their end
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        rooms = interruptions.Rooms((args.rooms or folder / "rooms").resolve())
        for number in range(args.rounds):
            if args.minutes and time.monotonic() - began > 60 * args.minutes:
                break
            name, _, function = rounds[rng.choice(len(rounds), p=weights / weights.sum())]
            place = folder / f"round-{number}"
            place.mkdir()
            start, cpu = time.monotonic(), processes.cpu_seconds()
            try:
                counts, faults = function(rooms, np.random.default_rng([args.seed, number]), place)
            except Exception:  # one's own mistake: the rounds that follow may do better
                counts, faults = [], [f"faults.py itself:\n{traceback.format_exc()}"]
            for row, column, count in counts:
                tally.add(row, column, count)
            tally.failed[name] += len(faults)
            failures += bool(faults)
            said = "; ".join(f"{count} x {column}" for _, column, count in counts if count)
            seconds, cpu = time.monotonic() - start, processes.cpu_seconds() - cpu
            print(f"{number}: {name}: {said}; {seconds:.0f} s, CPU {cpu:.0f} s", flush=True)
            for fault in faults:
                print("    FAULT " + fault.strip().replace("\n", "\n      "), flush=True)
            if args.output:
                tally.save(args.output)
            shutil.rmtree(place, ignore_errors=True)
    finally:
        processes.end_everything()
        shutil.rmtree(folder, ignore_errors=True)
    return failures


if __name__ == "__main__":
    cli.run(main)
