"""`python -m tests.matrix`: the tests against one version of PostgreSQL after the other, and a table of the results."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.conftest import fast_directory
from tests.matrix.binaries import VERSIONS, fetch

from crossfade.server import start_local
from crossfade.server.environment import VARIABLE

# What speaks to a server by itself. The rooms above say the same to it, through these.
ROOMS = ("catalog", "steps", "changes", "plan", "ledger", "execute", "gates", "properties", "torture")


@dataclass(frozen=True)
class Result:
    """What one version's tests came to."""

    server: str
    passed: int
    failed: tuple[str, ...]
    skipped: int
    seconds: float


def main() -> int:
    asked = _arguments()
    results = [_run(version, asked.tests, asked.workers) for version in asked.versions]
    print(_table(results))
    return 1 if any(result.failed or not result.passed for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("tests", nargs="*", default=[f"tests/{room}" for room in ROOMS], help="as pytest takes them")
    parser.add_argument("--versions", nargs="+", type=int, choices=VERSIONS, default=VERSIONS, metavar="N")
    parser.add_argument("--workers", type=int, default=2, help="tests that run at once")
    return parser.parse_args()


def _run(version: int, tests: list[str], workers: int) -> Result:
    bindir = fetch(version)
    with (
        start_local(bindir=bindir, parent=fast_directory()) as server,
        tempfile.TemporaryDirectory(prefix="matrix_") as temporary,
    ):
        exact = f"{server.version // 10000}.{server.version % 10000}"
        print(f"PostgreSQL {exact}", flush=True)
        report = Path(temporary) / "report.xml"
        # The tests' shared server is this one, and those that start one of their own take the same binaries.
        environment = os.environ | {VARIABLE: server.url, "CROSSFADE_PG_BINDIR": str(bindir)}
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            str(workers),
            "--dist=worksteal",
            f"--junit-xml={report}",
        ]
        subprocess.run([*command, *tests], env=environment, check=False)
        return _read(exact, report)


def _read(server: str, report: Path) -> Result:
    if not report.exists():  # pytest could not start
        return Result(server, passed=0, failed=(), skipped=0, seconds=0)
    suite = ElementTree.parse(report).getroot()[0]
    cases = suite.findall("testcase")
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    return Result(
        server,
        passed=len(cases) - len(failed) - len(skipped),
        failed=tuple(f"{case.get('classname')}::{case.get('name')}" for case in failed),
        skipped=len(skipped),
        seconds=float(suite.get("time", 0)),
    )


def _table(results: list[Result]) -> str:
    lines = ["", "| PostgreSQL | passed | failed | skipped | seconds |", "|---|---|---|---|---|"]
    lines += [f"| {r.server} | {r.passed} | {len(r.failed)} | {r.skipped} | {r.seconds:.0f} |" for r in results]
    lines += [f"{r.server}: {test}" for r in results for test in r.failed]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
