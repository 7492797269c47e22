"""Columns go to a table of their own, where the new version writes them itself."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, Pair, has_key
from tests.torture.shapes import PARTED, Shape

COLUMNS = ("note", "score")
PAIRS = tuple(Pair(column, column) for column in COLUMNS)


def _split(shape: Shape) -> list[Change]:
    t = shape.names
    return [{"split_table": {"table": t["people"], "columns": [t[c] for c in COLUMNS], "into": PARTED}}]


def fits(shape: Shape) -> bool:
    """What a client of the new version writes into one table is written into the other: a user's triggers see that."""
    return has_key(shape) and not (shape.partitioned or shape.hides or shape.audited or shape.touches)


KINDS = (Kind("split_table", _split, PAIRS, apart=COLUMNS, fits=fits),)
