"""Indexes that come."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, is_whole
from tests.torture.shapes import Names


def indexes(t: Names) -> list[Change]:
    table = t["people"]
    expression = [{"expression": f"lower({t.q('name')})"}, {"column": t["area"], "order": "desc"}]
    partial = {"where": f"{t.q('grade')} < 3", "include": [t["note"]]}
    return [
        {"create_index": {"table": table, "name": "people_lower", "columns": expression}},
        {"create_index": {"table": table, "name": "people_zip", "columns": [t["zip"]]} | partial},
        {"create_index": {"table": table, "name": "people_stamp", "columns": [t["stamp"]], "unique": True}},
    ]


KINDS = (Kind("create_index", lambda s: indexes(s.names), fits=is_whole),)
