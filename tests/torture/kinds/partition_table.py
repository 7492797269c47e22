"""A plain table becomes a partitioned one, under the same name: no version sees anything of it."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, has_key
from tests.torture.shapes import AREAS, Shape


def _partition(shape: Shape) -> list[Change]:
    t = shape.names
    table: dict[str, object] = {"table": t["people"]}
    if "area" in shape.key:
        parts = {f"people_in_{area}": [area] for area in AREAS}
        return [{"partition_table": table | {"list": {"column": t["area"], "partitions": parts}}}]
    columns = [key if key == "uuid" else t[key] for key in shape.key]
    return [{"partition_table": table | {"hash": {"columns": columns, "partitions": 3}}}]


KINDS = (
    Kind(
        "partition_table",
        _partition,
        fits=lambda shape: has_key(shape) and not shape.partitioned,
        back_until="archive",
    ),
)
