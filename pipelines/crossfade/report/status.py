"""Where migrations stand, as one table for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossfade.errors import CrossfadeError
from crossfade.execute.status import MigrationStatus
from crossfade.report.indented import print_indented
from crossfade.report.measures import said_ago, said_moment

_STYLE = {
    "not started": "dim",
    "running": "cyan",
    "waiting": "yellow",
    "paused": "magenta",
    "complete": "green",
    "undoing": "yellow",
    "undone": "dim",
    "unreachable": "bold red",
}
_BAR = 10  # characters
_NARROWEST_TABLE = 80  # columns; six cells in less are a word or less wide


def print_status(statuses: Iterable[MigrationStatus], console: Console) -> None:
    """Where each is, how far, what it waits for and since when: a row, or a few lines where the terminal is narrow."""
    now = datetime.now(UTC)
    if console.width < _NARROWEST_TABLE:
        for status in statuses:
            _print_lines(status, now, console)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("migration", "state", "at", "progress", "waits for", "since"):
        table.add_column(heading, overflow="fold")
    for status in statuses:
        table.add_row(
            Text(status.id),
            Text(status.state, style=_STYLE[status.state]),
            Text(_place(status)),
            Text(_progress(status)),
            _waits_for(status, now),
            Text(said_ago(status.since, now) if status.since else ""),
        )
    console.print(table)


def status_json(statuses: Iterable[MigrationStatus]) -> list[dict[str, Any]]:
    """The statuses as data to be written as JSON; moments are ISO 8601."""
    return [plain(dataclasses.asdict(status)) for status in statuses]


def _print_lines(status: MigrationStatus, now: datetime, console: Console) -> None:
    console.print(Text(status.id, style="bold"))
    since = f"since {said_ago(status.since, now)}" if status.since else ""
    state = Text(status.state, style=_STYLE[status.state])
    for words in (
        Text(" · ").join([state, *map(Text, filter(None, (_place(status), _progress(status), since)))]),
        _waits_for(status, now),
    ):
        if words:
            print_indented(console, 2, words)


def _place(status: MigrationStatus) -> str:
    if status.leg is None or status.leg == status.phase:
        return status.leg or ""
    return f"{status.phase}: {status.leg}"


def _progress(status: MigrationStatus) -> str:
    if status.progress is None:
        return ""
    filled = round(status.progress * _BAR)
    return f"{'━' * filled}{'╌' * (_BAR - filled)} {status.progress:.0%}"


def _waits_for(status: MigrationStatus, now: datetime) -> Text:
    working = f"{status.holder} works on it" if status.holder else ""
    held = (f"held by {blocker}" for blocker in status.blockers)
    told = (
        status.waits_for or working,
        said_overdue(status, now),
        *held,
        *_overridden(status),
        *_paths(status),
        _kept(status, now),
    )
    words = Text("\n".join(filter(None, told)))
    if status.problem:
        words = Text("\n").join([*([words] if words else []), Text(status.problem, style="red")])
    return words


def said_overdue(status: MigrationStatus, now: datetime) -> str:
    """That its contract waits too long; empty when it does not."""
    if not status.is_overdue or status.could_begin is None:
        return ""
    return f"it waits too long: {status.leg} could have begun {said_ago(status.could_begin, status.asked_at or now)}"


def _overridden(status: MigrationStatus) -> Iterator[str]:
    for gate in status.overridden:
        yield f"{gate.gate} {gate.point}: {gate.reason}"


def _paths(status: MigrationStatus) -> Iterator[str]:
    for each in status.search_paths:
        yield f"the new version's search_path in {each.database}: {each.new}; the old one's, if it stays: {each.old}"


def _kept(status: MigrationStatus, now: datetime) -> str:
    if status.kept_until is None:
        return ""
    over = "; `crossfade purge` drops them" if status.kept_until <= now and status.state == "complete" else ""
    return f"old values kept until {said_moment(status.kept_until)}{over}"


def plain(value: Any) -> Any:
    """Data of ours as JSON takes it."""
    match value:
        case dict():
            return {key: plain(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
        case datetime():
            return value.isoformat()
        case CrossfadeError():
            problem = value.problems[0]
            where = str(problem.where) if problem.where else None
            return {"what": problem.what, "where": where, "why": problem.why, "fix": problem.fix}
        case _:
            return value
