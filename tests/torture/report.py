"""What a session of torture found: one line a fault, and the runs that failed with the command that replays them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Found:
    """Figures of one run.

    disturbed: how often the fault struck. lost: rows that are missing. diverged: rows that are there and differ, or
    should not be there. catalog: lines that differ from an undisturbed run's schema. failed: statements of writers
    that failed though they broke no rule.
    """

    kills: int = 0
    disturbed: int = 0
    rows: int = 0
    lost: int = 0
    diverged: int = 0
    catalog: int = 0
    statements: int = 0
    failed: int = 0
    looked_up: int = 0
    longest: float = 0.0
    seconds: float = 0.0


@dataclass
class Result:
    """One run: what it was, its figures, and in words what is wrong."""

    kind: str
    shape: str
    fault: str
    seed: int
    found: Found = field(default_factory=Found)
    problems: list[str] = field(default_factory=list[str])

    @property
    def replay(self) -> str:
        chosen = f"--kind {self.kind} --shape {self.shape} --fault {self.fault} --seed {self.seed}"
        return f"python -m tests.torture {chosen}"


_HEAD = ("fault", "runs", "struck", "kills", "rows", "lost", "diverged", "catalog", "statements", "failed", "longest")


def table(results: Iterable[Result]) -> str:
    """The figures by fault, and their sum, as Markdown."""
    by_fault: dict[str, list[Result]] = {}
    for result in results:
        by_fault.setdefault(result.fault, []).append(result)
    rows = [_HEAD, *(_line(fault, found) for fault, found in sorted(by_fault.items()))]
    rows.append(_line("all", [result for found in by_fault.values() for result in found]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    padded = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _line(fault: str, results: Sequence[Result]) -> tuple[str, ...]:
    found = [result.found for result in results]
    sums = (
        sum(f.disturbed for f in found),
        sum(f.kills for f in found),
        sum(f.rows for f in found),
        sum(f.lost for f in found),
        sum(f.diverged for f in found),
        sum(f.catalog for f in found),
        sum(f.statements for f in found),
        sum(f.failed for f in found),
    )
    longest = max((f.longest for f in found), default=0.0)
    return (fault, f"{len(results):,}", *(f"{number:,}" for number in sums), f"{longest:.1f} s")


def failures(results: Iterable[Result]) -> str:
    """The runs that failed, each with what is wrong and how to see it again."""
    wrong = [result for result in results if result.problems]
    return "\n".join(f"{result.replay}\n  " + "\n  ".join(result.problems) for result in wrong)


def write(results: Sequence[Result], path: Path) -> None:
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
