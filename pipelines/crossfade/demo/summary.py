"""What there is to tell at the end: a table of the migrations, the clients, the ledgers; and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossfade.demo.clients import Figures, Verdict
from crossfade.demo.course import Course
from crossfade.ledger import Tampered, verify
from crossfade.report.measures import said_seconds


@dataclass(frozen=True)
class Summary:
    """quiet: the longest wait of a client before the first migration, in seconds.

    ledgers: by service, how many events its ledger holds and the first break in their chain.
    """

    courses: Sequence[Course]
    figures: Figures
    verdict: Verdict
    quiet: float
    ledgers: Mapping[str, tuple[int, Tampered | None]]

    @property
    def is_good(self) -> bool:
        """Every migration is complete, no client failed or lost a row, the ledgers are untouched."""
        return (
            all(course.complete for course in self.courses)
            and not (self.figures.failed or self.figures.misread or self.verdict.lost or self.verdict.diverged)
            and not any(broken for _, broken in self.ledgers.values())
        )

    def print_to(self, console: Console) -> None:
        console.print()
        console.print(self._migrations())
        console.print(self._facts())

    def _migrations(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("migration")
        for name in ("rows", "rows/s", "seconds", "gates held", "stopped"):
            table.add_column(name, justify="right")
        for course in self.courses:
            table.add_row(
                course.plan.migration,
                f"{course.rows:,}" if course.rows else "-",
                f"{course.rate:,.0f}" if course.rate else "-",
                f"{course.seconds:.1f}",
                str(course.held),
                f"{course.stopped} ×" if course.stopped else "-",
            )
        return table

    def _facts(self) -> Table:
        figures, verdict = self.figures, self.verdict
        table = Table.grid(padding=(0, 2))
        table.add_row()
        table.add_row("DDL retried for a lock", self._retries())
        table.add_row("client statements", f"{figures.statements:,}")
        failed = sum(figures.failed.values())
        table.add_row("failed", _wanted_zero(failed))
        for what, count in figures.failed.items():
            table.add_row("", Text(f"{count} × {what}", "red"))
        table.add_row(
            "longest wait of any client",
            f"{said_seconds(figures.longest)}, to {figures.longest_of};"
            f" {said_seconds(self.quiet)} before the first migration",
        )
        table.add_row("writes compared at the end", f"{verdict.writes:,}, which made {verdict.rows:,} rows")
        table.add_row("lost, diverged, misread", _wanted_zero(verdict.lost, verdict.diverged, figures.misread))
        for service, (events, broken) in self.ledgers.items():
            said = f"{events} events, chain verified" if broken is None else f"event {broken.seq} {broken.what}"
            table.add_row(f"ledger of {service}", Text(said, "red" if broken else "green"))
        return table

    def _retries(self) -> str:
        retries = sum(course.retries for course in self.courses)
        waited = max((course.lock_wait for course in self.courses), default=0.0)
        return f"{retries} ×, at most {said_seconds(waited)} for one step" if retries else "never"


def verified(urls: Mapping[str, str]) -> dict[str, tuple[int, Tampered | None]]:
    """The ledgers' chains, computed anew."""
    found: dict[str, tuple[int, Tampered | None]] = {}
    for service, url in urls.items():
        with psycopg.connect(url, autocommit=True) as connection:
            found[service] = verify(connection)
    return found


def _wanted_zero(*counts: int) -> Text:
    return Text(", ".join(map(str, counts)), "bold red" if any(counts) else "bold green")
