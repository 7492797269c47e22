"""Why a migration is where it is, in a few lines for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from crossfade.execute.why import Explanation, GateStanding
from crossfade.report.indented import print_indented
from crossfade.report.measures import said_ago, said_moment
from crossfade.report.status import plain, said_overdue

_MARKS = {"holds": ("holds", "green"), "waits": ("waits", "yellow"), "never": ("never", "bold red"), None: ("", "dim")}


def print_why(explanation: Explanation, console: Console) -> None:
    """Where it is, each gate of the next leg with its answer, and what else is in the way."""
    status = explanation.status
    now = status.asked_at or datetime.now(UTC)
    place = f" {explanation.point}" if explanation.point else f" at {status.leg}" if status.leg else ""
    since = f", since {said_ago(status.since, now)}" if status.since else ""
    console.print(Text.assemble((status.id, "bold"), f": {status.state}{place}{since}"), soft_wrap=True)
    for gate in explanation.gates:
        print_indented(console, 2, _gate(gate, now))
    for line in _beside(explanation, now):
        print_indented(console, 2, Text(line))
    if status.problem:
        print_indented(console, 2, Text(status.problem, style="red"))


def why_json(explanation: Explanation) -> dict[str, Any]:
    """The same as data to be written as JSON; moments are ISO 8601."""
    return plain(dataclasses.asdict(explanation))


def _gate(gate: GateStanding, now: datetime) -> Text:
    word, style = _MARKS[gate.state]
    if gate.state is None:
        return Text.assemble(gate.gate, (": not asked yet", style))
    words = Text.assemble(f"{gate.gate} ", (word, style), f": {gate.reason}")
    if gate.state != "holds" and gate.holds_at is not None:
        words.append(f"; may hold at {said_moment(gate.holds_at)}")
    if gate.since is not None and gate.asked_at is not None:
        words.append(f" (since {said_ago(gate.since, now)}, asked {said_ago(gate.asked_at, now)})", style="dim")
    return words


def _beside(explanation: Explanation, now: datetime) -> Iterator[str]:
    """What is in the way beside gates; what they say is not said again."""
    status = explanation.status
    if status.holder:
        yield f"{status.holder} works on it"
    told_by_gates = status.state == "waiting" and any(gate.state not in (None, "holds") for gate in explanation.gates)
    if status.waits_for and not told_by_gates:
        yield f"it waits for {status.waits_for}"
    if overdue := said_overdue(status, now):
        yield overdue
    for blocker in status.blockers:
        yield f"held by {blocker}"
    for database, count in explanation.conflicts.items():
        yield f"{count} rows in conflict in {database}: `crossfade conflicts {status.id}` lists them"
