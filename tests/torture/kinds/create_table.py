"""A table that comes."""

from __future__ import annotations

from typing import Any

from tests.torture.kinds._kind import Change, Kind
from tests.torture.shapes import Shape


def _letters(shape: Shape) -> list[Change]:
    t = shape.names
    person = {"columns": ["person"], "references": {"table": t["people"]}, "on_delete": "cascade"}
    plain: dict[str, Any] = {
        "table": "letters",
        "columns": [
            {"name": "id", "type": "bigint", "identity": True},
            {"name": "person", "type": "bigint", "nullable": False, "comment": "who wrote it"},
            {"name": "country", "type": "text", "default": "'NO'"},
        ],
        "primary_key": ["id"],
        "unique": [["person", "country"]],
        "checks": {"country_is_code": "length(country) = 2"},
    }
    if shape.key == ("ident",):
        plain["foreign_keys"] = {"letters_person": person}
    return [{"create_table": plain}]


KINDS = (Kind("create_table", _letters),)
