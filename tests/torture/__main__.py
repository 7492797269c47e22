"""`python -m tests.torture`: runs for as long as wanted, prints what it found, and how to replay what failed."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path

from tests.conftest import fast_directory
from tests.torture import report
from tests.torture.faults import FAULTS, Fault
from tests.torture.kinds import KINDS, Kind
from tests.torture.place import Place
from tests.torture.run import Torture
from tests.torture.shapes import SHAPES, Shape

from crossfade.server import start_local


def main() -> int:
    asked = _arguments()
    results: list[report.Result] = []
    ends = time.monotonic() + asked.minutes * 60
    with start_local(parent=fast_directory()) as server:
        torture = Torture(Place(server))
        for kind, shape, fault, seed in _cases(asked):
            if time.monotonic() > ends or sum(r.found.kills for r in results) >= asked.kills:
                break
            result = torture.run(kind, shape, fault, seed)
            results.append(result)
            print(_line(result), flush=True)
            if asked.json is not None:
                report.write(results, asked.json)
    print(report.table(results))
    print(report.failures(results))
    return 1 if any(result.problems for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kind", choices=[*KINDS], help="only this kind of change")
    parser.add_argument("--shape", choices=[*SHAPES], help="only this shape of table")
    parser.add_argument("--fault", choices=[*FAULTS], help="only this fault")
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--seeds", type=int, default=sys.maxsize, help="seeds of each combination, from 0")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no run starts later than that")
    parser.add_argument("--kills", type=int, default=sys.maxsize, help="no run starts after so many kills")
    parser.add_argument("--json", type=Path, help="a file that gets the figures of every run")
    return parser.parse_args()


def _cases(asked: argparse.Namespace) -> Iterator[tuple[Kind, Shape, type[Fault], int]]:
    """Every combination with the first seed, in an order of its own, then with the next one."""
    kinds = [KINDS[asked.kind]] if asked.kind else [*KINDS.values()]
    shapes = [SHAPES[asked.shape]] if asked.shape else [*SHAPES.values()]
    faults = [FAULTS[asked.fault]] if asked.fault else [*FAULTS.values()]
    for seed in [asked.seed] if asked.seed is not None else count():
        if seed >= asked.seeds and asked.seed is None:
            return
        cases = [case for case in product(kinds, shapes, faults) if case[0].fits(case[1])]
        random.Random(seed).shuffle(cases)
        yield from ((*case, seed) for case in cases)


def _line(result: report.Result) -> str:
    found = result.found
    verdict = "ok" if not result.problems else "WRONG"
    return (
        f"{verdict} {result.kind} {result.shape} {result.fault} {result.seed}: struck {found.disturbed},"
        f" {found.kills} kills, {found.rows} rows, {found.statements} statements, {found.seconds:.1f} s"
        + "".join(f"\n    {problem}" for problem in result.problems)
    )


if __name__ == "__main__":
    sys.exit(main())
