"""Rules that come."""

from __future__ import annotations

from typing import Any

from tests.torture.kinds._kind import Change, Kind
from tests.torture.shapes import Shape


def _rules(shape: Shape, **more: Any) -> list[Change]:
    t = shape.names
    table, areas = t["people"], {"columns": [t["area"]], "references": {"table": "areas"}, "on_delete": "restrict"}
    found: list[Change] = [
        {"add_constraint": {"table": table, "name": "graded", "check": f"{t.q('grade')} between 0 and 9"} | more}
    ]
    if not shape.partitioned:
        found.append({"add_constraint": {"table": table, "name": "stamped", "unique": [t["stamp"]]} | more})
        found.append({"add_constraint": {"table": table, "name": "in_area", "foreign_key": areas} | more})
    return found


KINDS = (
    Kind("add_constraint", _rules),
    Kind("add_constraint_tighten", lambda s: _rules(s, enforce="contract")),
)
