"""Another type, other values, rules."""

from __future__ import annotations

from typing import Any

from tests.torture.kinds._kind import Change, Kind, Pair, Unmappable, composed, same
from tests.torture.shapes import Names

UP_ZIP, DOWN_ZIP = "{zip}::int", "lpad({zip}::text, 5, '0')"


def up_zip(value: str | None) -> int | None:
    if value is not None and not value.isdigit():
        raise Unmappable
    return None if value is None else int(value)


def down_zip(value: int | None) -> str | None:
    return None if value is None else str(value).rjust(5, "0")[:5]


def lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


WIDEN = Pair("age", "age", swap=True)
RETYPE = Pair("zip", "zip", up_zip, down_zip, swap=True, settled=lambda value: down_zip(up_zip(value)))
LOWER = Pair("name", "name", lower, same, swap=True, settled=lower)


def widen(t: Names) -> Change:
    return {"change_column": {"table": t["people"], "column": t["age"], "to": {"type": "bigint"}}}


def retype(t: Names) -> Change:
    up, down = composed(UP_ZIP, t, zip="zip"), composed(DOWN_ZIP, t, zip="zip")
    return {"change_column": {"table": t["people"], "column": t["zip"], "to": {"type": "int"}, "up": up, "down": down}}


def lowered(t: Names, **more: Any) -> Change:
    name = t.q("name")
    to = {"nullable": False, "check": f"{name} = lower({name})", "comment": "in lower case"}
    return {
        "change_column": {"table": t["people"], "column": t["name"], "to": to, "up": f"lower({name})", "down": name}
        | more
    }


def _in_place(t: Names) -> list[Change]:
    wider = {"type": "text", "default": "'nothing'", "comment": "any length"}
    ruled = {"nullable": False, "check": f"{t.q('grade')} >= 0", "default": "5"}
    return [
        {"change_column": {"table": t["people"], "column": t["note"], "to": wider}},
        {"change_column": {"table": t["people"], "column": t["grade"], "to": ruled}},
    ]


KINDS = (
    Kind("change_column_widen", lambda s: [widen(s.names)], (WIDEN,)),
    Kind("change_column_retype", lambda s: [retype(s.names)], (RETYPE,)),
    Kind("change_column_rules", lambda s: [lowered(s.names)], (LOWER,)),
    Kind("change_column_tighten", lambda s: [lowered(s.names, enforce="contract")], (LOWER,)),
    Kind("change_column_in_place", lambda s: _in_place(s.names)),
)
