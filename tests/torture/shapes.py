"""The tables that are migrated: the same columns, in every shape a table may have.

A shape is added here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SEEDED = 400  # rows, some 30 to a block
UNSEEN = 20  # of these, rows that row security hides from the application
AREAS = (0, 1, 2)
PARTED = "people_apart"  # a table that has columns of theirs after a migration
APPLICATION, MIGRATOR = "torture_application", "torture_migrator"

COLUMNS = ("ident", "name", "age", "zip", "note", "score", "grade", "area", "stamp", "touched", "filler")


def plainly(logical: str) -> str:
    return logical


class Names:
    """What a shape calls its table and columns: `t["zip"]` as it stands in a spec, `t.q("zip")` in SQL."""

    def __init__(self, spell: Callable[[str], str]) -> None:
        self._spell = spell

    def __getitem__(self, logical: str) -> str:
        return self._spell(logical)

    def q(self, logical: str) -> str:
        return '"' + self._spell(logical) + '"'


@dataclass(frozen=True)
class Shape:
    """One shape of table.

    key: its key's columns. hides: row security keeps the first rows from the application.
    audited: a trigger of the user's writes one row into `audit` for every row somebody wrote.
    touches: a trigger of the user's sets `touched` on every update.
    referenced: another table's foreign key points at it.
    """

    name: str
    key: tuple[str, ...] = ("ident",)
    partitioned: bool = False
    audited: bool = False
    touches: bool = False
    hides: bool = False
    referenced: bool = False
    spell: Callable[[str], str] = plainly

    @property
    def keys(self) -> tuple[str, ...]:
        """Its key's columns, quoted."""
        return tuple(name if name == "uuid" else self.names.q(name) for name in self.key)

    @property
    def names(self) -> Names:
        return Names(self.spell)

    def script(self) -> str:
        """Everything there is before the migration: tables, rows, triggers, policies, grants."""
        return "\n".join(part for part in self._parts() if part)

    def _parts(self) -> list[str]:
        return [
            _areas(),
            _table(self),
            _rows(self),
            _indexes(self),
            _audit(self) if self.audited else "",
            _touch(self) if self.touches else "",
            _policy(self) if self.hides else "",
            _child(self) if self.referenced else "",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APPLICATION};",
        ]


def _camel(logical: str) -> str:
    """60 characters, of which the first tell columns apart."""
    return (logical + "WithAVeryLongNameInCamelCaseAsSomeObjectMappersMakeThemUpX").ljust(60, "x")[:60]


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("bigint"),
        Shape("keyless", key=()),
        Shape("composite", key=("area", "ident")),
        Shape("uuid", key=("uuid",)),
        Shape("partitioned", key=("ident", "area"), partitioned=True),
        Shape("triggers", audited=True),
        Shape("referenced", referenced=True),
        Shape("secured", hides=True),
        Shape("camel", spell=_camel),
        Shape("touched", touches=True),
    )
}


def _areas() -> str:
    return f"CREATE TABLE areas (area int PRIMARY KEY);\nINSERT INTO areas VALUES {', '.join(f'({a})' for a in AREAS)};"


def _table(shape: Shape) -> str:
    t = shape.names
    uuid = "uuid uuid DEFAULT gen_random_uuid()," if shape.key == ("uuid",) else ""
    primary = f",\n  PRIMARY KEY ({', '.join(shape.keys)})" if shape.key else ""
    parts = f"PARTITION BY LIST ({t.q('area')})" if shape.partitioned else ""
    leaves = "\n".join(
        f"CREATE TABLE people_{area} PARTITION OF {t.q('people')} FOR VALUES IN ({area});"
        for area in (AREAS if shape.partitioned else ())
    )
    return f"""
CREATE TABLE {t.q("people")} (
  {uuid}
  {t.q("ident")} bigint NOT NULL,
  {t.q("name")} text NOT NULL DEFAULT 'anon',
  {t.q("age")} int CHECK ({t.q("age")} >= 0),
  {t.q("zip")} text,
  {t.q("note")} varchar DEFAULT 'none',
  {t.q("score")} int,
  {t.q("grade")} int,
  {t.q("area")} int NOT NULL,
  {t.q("stamp")} text NOT NULL,
  {t.q("touched")} timestamptz NOT NULL DEFAULT '2020-01-01 00:00Z',
  {t.q("filler")} text DEFAULT repeat('x', 180){primary}
) {parts};
{leaves}
CREATE INDEX people_ident ON {t.q("people")} ({t.q("ident")});"""


def _rows(shape: Shape) -> str:
    t = shape.names
    listed = ", ".join(t.q(name) for name in COLUMNS if name not in ("touched", "filler"))
    return f"""
INSERT INTO {t.q("people")} ({listed})
SELECT i, CASE WHEN i % 7 = 0 THEN 'anon' ELSE 'Name ' || i END, CASE WHEN i % 11 > 0 THEN i % 90 END,
       CASE WHEN i % 13 = 0 THEN NULL WHEN i % 97 = 0 THEN 'unknown' WHEN i % 17 = 0 THEN (i % 10)::text
            ELSE lpad((i % 10000)::text, 5, '0') END,
       CASE WHEN i % 5 > 0 THEN 'Note ' || i END, i * 10, i % 10, i % {len(AREAS)}, 'seed ' || i
  FROM generate_series(1, {SEEDED}) AS i;"""


def _indexes(shape: Shape) -> str:
    """Indexes that have to be carried over; on a partitioned table such columns are refused."""
    t = shape.names
    if shape.partitioned:
        return ""
    return f"""
CREATE INDEX people_name_age ON {t.q("people")} ({t.q("name")}, {t.q("age")});
CREATE INDEX people_old_zips ON {t.q("people")} ({t.q("zip")}) WHERE {t.q("grade")} > 5;
CREATE INDEX people_scores ON {t.q("people")} ({t.q("score")} DESC NULLS LAST);
COMMENT ON INDEX people_name_age IS 'by name';
COMMENT ON INDEX people_scores IS 'best first';
COMMENT ON INDEX people_old_zips IS 'where from';
ALTER TABLE {t.q("people")} CLUSTER ON people_name_age;"""


def _audit(shape: Shape) -> str:
    t = shape.names
    return f"""
CREATE TABLE audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ident bigint, op text);
CREATE FUNCTION write_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit (ident, op) VALUES (coalesce(new.{t.q("ident")}, old.{t.q("ident")}), tg_op);
  RETURN NULL;
END $$;
CREATE TRIGGER write_audit AFTER INSERT OR UPDATE OR DELETE ON {t.q("people")}
  FOR EACH ROW EXECUTE FUNCTION write_audit();"""


def _touch(shape: Shape) -> str:
    t = shape.names
    return f"""
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN new.{t.q("touched")} := clock_timestamp(); RETURN new; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON {t.q("people")} FOR EACH ROW EXECUTE FUNCTION touch();"""


def _policy(shape: Shape) -> str:
    t = shape.names
    seen = f"{t.q('ident')} > {UNSEEN}"
    return f"""
ALTER TABLE {t.q("people")} ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON {t.q("people")} TO {APPLICATION} USING ({seen}) WITH CHECK ({seen});"""


def _child(shape: Shape) -> str:
    t = shape.names
    return f"""
CREATE TABLE visits (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  person bigint NOT NULL REFERENCES {t.q("people")} ON DELETE CASCADE);
CREATE INDEX visits_person ON visits (person);
INSERT INTO visits (person) SELECT i % {SEEDED} + 1 FROM generate_series(1, 500) AS i;"""
