"""A column that leaves."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, Pair
from tests.torture.shapes import Names

LEAVE = Pair("note", None, down=lambda _: "gone")
LEAVE_BARE = Pair("score", None, down=None)


def leave(t: Names) -> Change:
    return {"drop_column": {"table": t["people"], "column": t["note"], "down": "'gone'"}}


def _drop_score(t: Names) -> Change:
    return {"drop_column": {"table": t["people"], "column": t["score"]}}


KINDS = (
    Kind("drop_column_mapped", lambda s: [leave(s.names)], (LEAVE,)),
    Kind("drop_column_bare", lambda s: [_drop_score(s.names)], (LEAVE_BARE,)),
)
