"""Drift in words, the same for the command line, Dagster and an alert."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crossfade.execute.drift import Drift
from crossfade.report.measures import said_moment


def drift_summary(drift: Drift, *, accepted: bool = False) -> str:
    """One sentence."""
    count = len(drift.differences)
    differences = f"{count} difference{'s' if count != 1 else ''}"
    if accepted:
        return f"{drift.database}: accepted {differences}"
    if drift.since is None:
        return f"{drift.database}: nothing to compare with yet; the first migration that runs keeps what it finds"
    if not count:
        return f"{drift.database}: as migrations have made it"
    return f"{drift.database}: {differences} that no migration made, since {said_moment(drift.since)}"


def drift_lines(drift: Drift, *, accepted: bool = False) -> Iterator[str]:
    """The sentence, then a line for each difference and for what could not be told."""
    yield drift_summary(drift, accepted=accepted)
    for difference in drift.differences:
        yield f"  {difference}"
    for migration, count in drift.at_work.items():
        yield f"  {migration} is at work: {count} more may be of its making, and are told when it ends if they are not"
    for table, holders in drift.unread.items():
        yield f"  not read: {table} is locked by {holders}"
    if drift.printed_by is not None:
        yield f"  what is kept is in the words of PostgreSQL {drift.printed_by}; this version may have others"


def drift_json(drift: Drift) -> dict[str, Any]:
    """For other programs."""
    return {
        "database": drift.database,
        "since": drift.since.isoformat() if drift.since is not None else None,
        "differences": [{"kind": each.kind, "object": each.object, "what": each.what} for each in drift.differences],
        "at_work": dict(drift.at_work),
        "unread": dict(drift.unread),
    }
