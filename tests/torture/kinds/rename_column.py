"""Another name."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, Pair
from tests.torture.shapes import Names

RENAME = Pair("name", "full_name")


def rename(t: Names) -> Change:
    return {"rename_column": {"table": t["people"], "from": t["name"], "to": t["full_name"]}}


KINDS = (Kind("rename_column", lambda s: [rename(s.names)], (RENAME,)),)
