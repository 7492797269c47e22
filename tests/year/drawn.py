"""The migrations of a year, drawn by dice: what each does, and by what it waits where.

What it waits for is kept beside the spec's text as plain facts, so that the judge need not believe the product's gates.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

DATABASES: tuple[str, ...] = ("shop", "billing")
BEGIN = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
DAY = timedelta(days=1)
ROWS = 3

_CONTRACT = ("cutover", "brownout", "retire", "archive", "drop")
_WORKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Soak:
    days: int


@dataclass(frozen=True)
class Door:
    """A `sql` gate; opened: days [from, to) on which its query gives true."""

    name: str
    opened: tuple[tuple[int, int], ...]

    def is_open(self, moment: datetime) -> bool:
        day = (moment - BEGIN) // DAY
        return any(begin <= day < end for begin, end in self.opened)


@dataclass(frozen=True)
class Approval:
    """Given so many days after the start."""

    after: int


@dataclass(frozen=True)
class Hours:
    """days: the first and the last of the week, 0 is Monday. hours: local ones, [from, to)."""

    days: tuple[int, int]
    hours: tuple[int, int]
    zone: str


@dataclass(frozen=True)
class Passed:
    """Another migration has passed a leg; None: all of them."""

    migration: str
    leg: str | None


Condition = Soak | Door | Approval | Hours | Passed


@dataclass(frozen=True)
class Drawn:
    """One migration. databases: the home first. waits: by point, e.g. `before retire`. starts: the day."""

    id: str
    kind: str
    databases: tuple[str, ...]
    table: str
    starts: int
    after: str | None
    keep: int
    waits: Mapping[str, tuple[Condition, ...]]
    text: str

    @property
    def legs(self) -> tuple[str, ...]:
        return LEGS[self.kind]

    def doors(self) -> list[Door]:
        return [each for at in self.waits.values() for each in at if isinstance(each, Door)]

    def approval(self) -> Approval | None:
        return next((each for at in self.waits.values() for each in at if isinstance(each, Approval)), None)


LEGS: Mapping[str, tuple[str, ...]] = {
    "add": ("expand", "backfill", "validate", "retire", "archive"),
    "change": ("expand", "backfill", "validate", "cutover", "archive", "drop"),
    "rename": ("expand", "backfill", "validate", "brownout", "retire", "archive", "drop"),
    "drop": ("expand", "backfill", "validate", "brownout", "retire", "archive", "drop"),
}
COLUMNS: Mapping[str, Mapping[str, str]] = {  # of a new table, and what a kind makes of its column
    "new": {"a": "'Ada ' || id", "b": "'Bob ' || id", "c": "id * 10"},
    "add": {"x": "id || '!'"},
    "change": {"b": "lower('Bob ' || id)"},
    "rename": {"name": "'Ada ' || id"},
    "drop": {},
}
GONE: Mapping[str, str] = {"rename": "a", "drop": "c"}


def _change(kind: str, table: str) -> dict[str, Any]:
    match kind:
        case "add":
            return {"add_column": {"table": table, "column": "x", "type": "text", "up": "id || '!'"}}
        case "change":
            to = {"type": "text"}
            return {"change_column": {"table": table, "column": "b", "to": to, "up": "lower(b)", "down": "b"}}
        case "rename":
            return {"rename_column": {"table": table, "from": "a", "to": "name"}}
        case _:
            return {"drop_column": {"table": table, "column": "c"}}


def draw(count: int, seed: int, *, within: int = 200) -> list[Drawn]:
    """As many migrations, in the order in which they may start; within: days, in which all do that can."""
    dice = random.Random(seed)
    made: list[Drawn] = []
    for number in range(count):
        starts = within * number // count
        made.append(_draw(f"m{number:03}", starts, made, dice))
    return made


def _draw(name: str, starts: int, made: Sequence[Drawn], dice: random.Random) -> Drawn:
    before = dice.choice(made) if made and dice.random() < 0.3 else None
    done = {each.kind for each in made if before is not None and each.table == before.table}
    if before is not None and (len(done) == len(LEGS) or any(each.after == before.id for each in made)):
        before = None
    if before is not None:
        databases, table = before.databases, before.table
        kind = dice.choice(sorted(LEGS.keys() - done))
    else:
        databases = (*dice.sample(DATABASES, 2),) if dice.random() < 0.15 else (dice.choice(DATABASES),)
        table, kind = f"t_{name}", dice.choice(sorted(LEGS))
    waits, gates, stages, window = _waits(name, kind, starts, made, dice)
    keep = dice.randint(10, 40)
    contract: dict[str, Any] = {"stages": [{stage: stages[stage]} for stage in stages]}
    stages["archive"]["keep"] = f"{keep}d"
    if window is not None:
        contract["window"] = window
    changes = [_change(kind, table)]
    for other in databases[1:]:
        (same,) = _change(kind, table).items()
        changes.append({same[0]: {**same[1], "database": other}})
    spec: dict[str, Any] = {"crossfade": 1, "migration": name, "title": f"{kind} {table}", "database": databases[0]}
    if before is not None:
        spec["after"] = [before.id]
    spec |= {"changes": changes, "gates": gates, "contract": contract}
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in spec.items())
    return Drawn(name, kind, databases, table, starts, before.id if before else None, keep, waits, text)


def _waits(
    name: str, kind: str, starts: int, made: Sequence[Drawn], dice: random.Random
) -> tuple[dict[str, tuple[Condition, ...]], dict[str, Any], dict[str, dict[str, Any]], dict[str, Any] | None]:
    """By point what is waited for, and the same as the spec's gates, stages of contract, and window."""
    waits: dict[str, tuple[Condition, ...]] = {}
    gates: dict[str, Any] = {}

    def add(point: str, *conditions: Condition) -> list[dict[str, Any]]:
        if conditions:
            waits[point] = (*waits.get(point, ()), *conditions)
        return [_gate(each) for each in conditions]

    def door(point: str) -> Door:
        first = starts + dice.randint(0, 90)
        some = () if dice.random() < 0.5 else ((first - dice.randint(20, 60), first - dice.randint(10, 18)),)
        return Door(f"{name} {point}", (*some, (first, 10_000)))

    legs = LEGS[kind]
    if "backfill" in legs and dice.random() < 0.1:
        gates["backfill"] = add("after backfill", door("after backfill"))
    if "validate" in legs and dice.random() < 0.3:
        gates["validate"] = add("after validate", Soak(dice.randint(1, 5)))
    own = [leg for leg in legs if leg in _CONTRACT]
    entry: list[Condition] = []
    if dice.random() < 0.4:
        entry.append(Approval(dice.randint(1, 60)))
    if dice.random() < 0.5:
        entry.append(Soak(dice.randint(1, 14)))
    if dice.random() < 0.25:
        entry.append(door("contract"))
    if made and dice.random() < 0.1:
        other = dice.choice(made)
        entry.append(Passed(other.id, dice.choice([None, *other.legs])))
    if entry:
        gates["contract"] = add(f"before {own[0]}", *entry)
    stages: dict[str, dict[str, Any]] = {}
    for leg in own:
        stages[leg] = {"for": "1ms", "without_log": True} if leg == "brownout" else {}
        if dice.random() < 0.6:
            days = dice.randint(1, 10)
            add(f"before {leg}", Soak(days))
            stages[leg]["after"] = f"{days}d"
        if dice.random() < 0.12:
            moment = dice.choice(["before", "after"])
            stages[leg]["gates"] = {moment: add(f"{moment} {leg}", door(f"{moment} {leg}"))}
    window: dict[str, Any] | None = None
    if dice.random() < 0.4:
        hours = Hours(
            (dice.randint(0, 2), dice.randint(3, 6)),
            (dice.randint(0, 9), dice.randint(15, 23)),
            dice.choice(["UTC", "Europe/Oslo", "America/New_York"]),
        )
        for leg in own:
            add(f"before {leg}", hours)
        window = _window(hours)
    return waits, gates, stages, window


def _gate(condition: Condition) -> dict[str, Any]:
    match condition:
        case Soak(days):
            return {"soak": f"{days}d"}
        case Door(name):
            return {"sql": f"SELECT is_open FROM door WHERE name = '{name}'"}
        case Approval():
            return {"approval": {"count": 1}}
        case Hours():
            return {"window": _window(condition)}
        case Passed(migration, leg):
            return {"after": migration} | ({"passed": leg} if leg is not None else {})


def _window(hours: Hours) -> dict[str, Any]:
    first, last = (_WORKDAYS[day] for day in hours.days)
    begin, end = hours.hours
    return {"days": f"{first}-{last}", "hours": f"{begin:02}:00-{end:02}:00", "timezone": hours.zone}
