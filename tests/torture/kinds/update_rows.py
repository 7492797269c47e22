"""Values that are set once."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, Value, has_key
from tests.torture.shapes import Names


def _update(t: Names) -> list[Change]:
    score = t.q("score")
    return [{"update_rows": {"table": t["people"], "set": {t["score"]: f"{score} + 1"}, "where": f"{score} >= 0"}}]


def _update_joined(t: Names) -> list[Change]:
    """One for the area of the row, which is locked before areas are asked."""
    score, area = t.q("score"), f"{t.q('people')}.{t.q('area')}"
    added = f"{score} + (SELECT count(*) FROM areas AS known WHERE known.area = {area})"
    return [{"update_rows": {"table": t["people"], "set": {t["score"]: added}, "where": f"{score} >= 0"}}]


def _one_more(value: Value) -> Value:
    return value + 1


KINDS = (
    Kind("update_rows", lambda s: _update(s.names), sets={"score": _one_more}, fits=has_key),
    Kind("update_rows_joined", lambda s: _update_joined(s.names), sets={"score": _one_more}, fits=has_key),
)
