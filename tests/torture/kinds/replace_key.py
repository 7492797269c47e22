"""Another key in place of the one there is, which stays unique."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind
from tests.torture.shapes import Shape


def _replace(shape: Shape) -> list[Change]:
    t = shape.names
    kept = [name if name == "uuid" else t[name] for name in shape.key]
    return [{"replace_key": {"table": t["people"], "column": t["number"], "type": "bigint", "keep": kept}}]


def _fits(shape: Shape) -> bool:
    """Where rows of another table refer to it, there is no way back from the end, which every course must have."""
    return bool(shape.key) and not shape.partitioned and not shape.referenced


KINDS = (Kind("replace_key", _replace, opaque=("number",), fits=_fits),)
