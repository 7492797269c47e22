"""Values that are set once."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, Value, has_key
from tests.torture.shapes import Names, Shape


def _update(t: Names) -> list[Change]:
    score = t.q("score")
    return [{"update_rows": {"table": t["people"], "set": {t["score"]: f"{score} + 1"}, "where": f"{score} >= 0"}}]


def _update_joined(t: Names) -> list[Change]:
    """One for the area of the row, which is locked before areas are asked."""
    score, area = t.q("score"), f"{t.q('people')}.{t.q('area')}"
    added = f"{score} + (SELECT count(*) FROM areas AS known WHERE known.area = {area})"
    return [{"update_rows": {"table": t["people"], "set": {t["score"]: added}, "where": f"{score} >= 0"}}]


def _update_grouped(t: Names) -> list[Change]:
    """Each row is a group, of one more than it had."""
    score = t.q("score")
    return [
        {
            "update_rows": {
                "table": t["people"],
                "group_by": t["ident"],
                "set": {t["score"]: f"{score} + count(*) OVER ()"},
                "where": f"{score} >= 0",
            }
        }
    ]


def _update_below(t: Names) -> list[Change]:
    """Each row points at itself, and is below none."""
    score, ident = t.q("score"), t.q("ident")
    return [
        {
            "update_rows": {
                "table": t["people"],
                "parent": {t["ident"]: t["ident"]},
                "set": {t["score"]: f"{score} + 1 + coalesce(parent.{ident}, 0)"},
                "where": f"{score} >= 0",
            }
        }
    ]


def _found_by_ident(shape: Shape) -> bool:
    return shape.key[:1] == ("ident",)


def _found_alone(shape: Shape) -> bool:
    return shape.key == ("ident",)


def _one_more(value: Value) -> Value:
    return value + 1


KINDS = (
    Kind("update_rows", lambda s: _update(s.names), sets={"score": _one_more}, fits=has_key),
    Kind("update_rows_grouped", lambda s: _update_grouped(s.names), sets={"score": _one_more}, fits=_found_by_ident),
    Kind("update_rows_below", lambda s: _update_below(s.names), sets={"score": _one_more}, fits=_found_alone),
    Kind("update_rows_joined", lambda s: _update_joined(s.names), sets={"score": _one_more}, fits=has_key),
)
