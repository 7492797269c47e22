"""`python -m tests.examples`: the examples on tables of any size, and what their clients noticed."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import get_args

from tests.conftest import fast_directory
from tests.examples.example import Example, Lived, live
from tests.examples.test_examples import EXAMPLES
from tests.scene import Scene

from crossfade.execute import StepFinished
from crossfade.server import start_local
from crossfade.steps.step import Lock, LockMode

_WEAKEST_FIRST: tuple[LockMode, ...] = get_args(LockMode)


def main() -> None:
    asked = _arguments()
    by_name = {example.migration: example for example in EXAMPLES}
    print("| example | statements | failed | longest wait | strongest lock | held for at most |")
    print("|---|---:|---:|---:|---|---:|")
    with start_local(parent=fast_directory()) as server:
        for name in asked.examples or by_name:
            with tempfile.TemporaryDirectory(prefix="example_") as root:
                scene = Scene(Path(root), {"app": server.create_database(name)}, os.environ.__setitem__)
                lived = live(scene, by_name[name], asked.rows)
                scene.close()
            server.drop_database(name)
            print(_line(by_name[name], lived, [*scene.seen(StepFinished)]), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.examples", description=__doc__)
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", help="default: all of them")
    parser.add_argument("--rows", type=int, default=50_000)
    return parser.parse_args()


def _line(example: Example, lived: Lived, steps: list[StepFinished]) -> str:
    strongest = max((_strongest(step.step.locks) for step in steps), key=_WEAKEST_FIRST.index)
    longest = max(step.held for step in steps if _strongest(step.step.locks) == strongest)
    return (
        f"| {example} | {lived.statements:,} | {len(lived.failures)} | {1000 * lived.longest:,.0f} ms"
        f" | {strongest} | {1000 * longest:,.1f} ms |"
    )


def _strongest(locks: tuple[Lock, ...]) -> LockMode:
    modes: list[LockMode] = [_WEAKEST_FIRST[0], *(lock.mode for lock in locks)]
    return max(modes, key=_WEAKEST_FIRST.index)


if __name__ == "__main__":
    main()
