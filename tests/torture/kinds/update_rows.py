"""Values that are set once."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, has_key
from tests.torture.shapes import Names


def _update(t: Names) -> list[Change]:
    score = t.q("score")
    return [{"update_rows": {"table": t["people"], "set": {t["score"]: f"{score} + 1"}, "where": f"{score} >= 0"}}]


KINDS = (Kind("update_rows", lambda s: _update(s.names), sets={"score": lambda value: value + 1}, fits=has_key),)
