"""Columns go to a table that is there already, whose rows come and go by the user's own means."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind
from tests.torture.kinds.split_table import COLUMNS, PAIRS, fits
from tests.torture.shapes import APPLICATION, PARTED, Shape


def _move(shape: Shape) -> list[Change]:
    t = shape.names
    by = {name if name == "uuid" else t[name]: name if name == "uuid" else t[name] for name in shape.key}
    return [{"move_column": {"table": t["people"], "column": t[c], "to": PARTED, "by": by}} for c in COLUMNS]


def _beside(shape: Shape) -> str:
    people, key = shape.names.q("people"), ", ".join(shape.keys)
    made = ", ".join(f"new.{name}" for name in shape.keys)
    return f"""
CREATE TABLE {PARTED} AS SELECT {key} FROM {people};
ALTER TABLE {PARTED} ADD PRIMARY KEY ({key}), ADD FOREIGN KEY ({key}) REFERENCES {people} ON DELETE CASCADE;
GRANT SELECT, INSERT, UPDATE, DELETE ON {PARTED} TO {APPLICATION};
CREATE FUNCTION make_apart() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN INSERT INTO public.{PARTED} ({key}) VALUES ({made}); RETURN NULL; END $$;
CREATE TRIGGER make_apart AFTER INSERT ON {people} FOR EACH ROW EXECUTE FUNCTION make_apart();"""


KINDS = (Kind("move_column", _move, PAIRS, apart=COLUMNS, fits=fits, beside=_beside),)
