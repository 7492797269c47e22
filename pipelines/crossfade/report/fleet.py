"""Where the members of a fleet stand: a matrix of waves and legs for people, each member for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossfade.execute.fleet import Standing
from crossfade.report.status import plain
from crossfade.spec import Migration, Wave
from crossfade.spec.model import PHASES, STAGES

_PLACES = ("not started", *PHASES[:-1], *STAGES, "complete", "undone", "unreachable")
_SHOWN = 10


def print_fleet(
    migration: Migration, waves: tuple[Wave, ...], standings: Mapping[str, Standing], console: Console
) -> None:
    """How many members of each wave are how far, then those that a person must look at, by name."""
    counted = {wave.name: Counter(_place(standings[each.name]) for each in wave.members) for wave in waves}
    places = [place for place in _PLACES if any(place in count for count in counted.values())]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"{migration.id}: wave", overflow="fold")
    for place in ("members", *places):
        table.add_column(place, justify="right", overflow="fold")
    for wave in waves:
        cells = (str(counted[wave.name][place] or "") for place in places)
        table.add_row(wave.name, str(len(wave.members)), *cells)
    console.print(table)
    wanting = [(name, each) for name, each in standings.items() if each.problem or each.state in ("paused", "undoing")]
    for name, each in wanting[:_SHOWN]:
        console.print(Text(f"  {name}: {each.state}{f': {each.problem}' if each.problem else ''}", style="red"))
    if len(wanting) > _SHOWN:
        console.print(Text(f"  and {len(wanting) - _SHOWN} more: --json names them all"))


def fleet_json(migration: Migration, waves: tuple[Wave, ...], standings: Mapping[str, Standing]) -> dict[str, Any]:
    """Every member's standing as data to be written as JSON."""
    return {
        "id": migration.id,
        "title": migration.head.title,
        "fleet": migration.head.database,
        "members": [
            {
                "name": member.name,
                "wave": wave.name,
                "state": (each := standings[member.name]).state,
                "leg": each.leg,
                "passed": [leg for leg, _ in each.passed],
                "since": plain(each.since),
                "problem": each.problem,
            }
            for wave in waves
            for member in wave.members
        ],
    }


def _place(standing: Standing) -> str:
    """The leg that it has begun last; of one that has none, how it stands."""
    if standing.state in ("complete", "undone", "unreachable", "not started"):
        return standing.state
    return standing.leg or "not started"
