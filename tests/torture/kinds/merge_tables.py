"""All rows come into another table under new keys, where the new version has rows of its own too."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind
from tests.torture.kinds.split_table import fits
from tests.torture.shapes import APPLICATION, PARTED, Shape


def _merge(shape: Shape) -> list[Change]:
    refers = [{"table": "visits", "column": "person_apart"}] if shape.referenced else []
    return [{"merge_tables": {"table": PARTED, "from": shape.names["people"], "references": refers}}]


def _beside(shape: Shape) -> str:
    return f"""
CREATE TABLE {PARTED} (
  id bigint GENERATED ALWAYS AS IDENTITY (START 7) PRIMARY KEY, LIKE {shape.names.q("people")} INCLUDING DEFAULTS);
CREATE UNIQUE INDEX ON {PARTED} ({shape.names.q("ident")});
CREATE UNIQUE INDEX ON {PARTED} ({shape.names.q("stamp")});
GRANT SELECT, INSERT, UPDATE, DELETE ON {PARTED} TO {APPLICATION};"""


KINDS = (Kind("merge_tables", _merge, into=True, fits=fits, beside=_beside, back_until="archive"),)
