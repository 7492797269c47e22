"""A column that comes."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, Pair
from tests.torture.shapes import Names, Shape


def lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def upper(value: str | None) -> str | None:
    return None if value is None else value.upper()


LABEL = Pair("name", "label", upper, lower, stays=True)


def _label(t: Names) -> Change:
    added = {"table": t["people"], "column": t["label"], "type": "text", "nullable": False}
    return {
        "add_column": added
        | {"up": f"upper({t.q('name')})", "down": {t["name"]: f"lower({t.q('label')})"}, "default": "'ANON'"}
    }


def token(shape: Shape) -> Change:
    t = shape.names
    added = {"table": t["people"], "column": t["token"], "type": "uuid", "default": "gen_random_uuid()"}
    return {"add_column": added | {"nullable": False, "unique": not shape.partitioned}}


def _plain(t: Names) -> Change:
    added = {"table": t["people"], "column": t["flag"], "type": "text", "default": "'on'"}
    return {"add_column": added | {"nullable": False, "check": f"{t.q('flag')} <> ''", "comment": "on or off"}}


KINDS = (
    Kind("add_column_plain", lambda s: [_plain(s.names)], adds={"flag": "on"}),
    Kind("add_column_mapped", lambda s: [_label(s.names)], (LABEL,)),
    Kind("add_column_volatile", lambda s: [token(s)], opaque=("token",)),
)
