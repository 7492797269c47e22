"""What a partitioned table cannot have, or could not take over: refused when planned, by name, with a way out."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.changes.refusing import refusal
from tests.scene import Scene

from crossfade.changes import CHANGES

MADE = """
CREATE TABLE t (id int PRIMARY KEY, at date NOT NULL, maybe date, made int GENERATED ALWAYS AS (1) STORED, other int,
  place point);
CREATE TABLE taken_2024 ();
ALTER TABLE taken_2024 RENAME TO t_2024;
CREATE TABLE keyless (at date);
CREATE TABLE plain (id int PRIMARY KEY, code int UNIQUE);
CREATE TABLE refers (id int REFERENCES t (id));
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree);
CREATE TABLE open (id int PRIMARY KEY);
ALTER TABLE open ADD CONSTRAINT big CHECK (id > 5) NOT VALID;
CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE);
CREATE TABLE ruled (id int PRIMARY KEY);
CREATE RULE quiet AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE TABLE shown (id int PRIMARY KEY);
CREATE MATERIALIZED VIEW showing AS SELECT id FROM shown;
CREATE TABLE typed (id int PRIMARY KEY);
CREATE FUNCTION take(typed) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE sampled (id int PRIMARY KEY, a int, b int);
CREATE STATISTICS sample ON a, b FROM sampled;
CREATE UNLOGGED TABLE quick (id int PRIMARY KEY);
CREATE TABLE sent (id int PRIMARY KEY);
CREATE PUBLICATION sending FOR TABLE sent;
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE part PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE stamped (id int, at date, PRIMARY KEY (id, at));
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.at := now(); RETURN new; END';
CREATE TRIGGER stamp BEFORE INSERT ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE loose (id int PRIMARY KEY);
CREATE TABLE hangs (id int REFERENCES loose ON DELETE CASCADE DEFERRABLE);
CREATE TABLE grouped (id int PRIMARY KEY, at date NOT NULL, n int);
CREATE VIEW groups AS SELECT id, n FROM grouped GROUP BY id"""
_HASH = "hash: {columns: [id], partitions: 2}"
REFUSED = {
    "table: t, range: {column: at, bounds: ['2024-01-01', '2025-01-01']}": (
        "at is not in the primary key of public.t (id)",
        "say `key: [id, at]`",
    ),
    "table: t, key: [at], range: {column: at, bounds: ['2024-01-01', '2025-01-01']}": ("is not in `key`", "[id, at]"),
    "table: t, key: [id, maybe], range: {column: maybe, bounds: ['2024-01-01', '2025-01-01']}": (
        "t.maybe may be NULL",
        "`change_column`",
    ),
    "table: t, key: [id, at], range: {column: at, bounds: ['2024-01-01', '2025-01-01']}": (
        "refers_id_fkey of public.refers refers to public.t (id)",
        "drop it",
    ),
    "table: t, key: [id, at], range: {column: at, bounds: ['soon', 'later']}": ("invalid input syntax", ""),
    "table: t, key: [id, made], list: {column: made, partitions: {a: [1]}}": ("t.made is generated", ""),
    "table: t, key: [id, place], list: {column: place, partitions: {a: [1]}}": ("no default operator class", ""),
    "table: t, list: {column: gone, partitions: {a: [1]}}": ("column gone does not exist", "columns here"),
    "table: grouped, list: {column: id, partitions: {t_2024: [1]}}": ("public.t_2024 exists already", "rename"),
    "table: keyless, list: {column: at, partitions: {a: ['2024-01-01']}}": ("has no primary key", "`add_constraint`"),
    f"table: plain, {_HASH}": ("id is not in the unique index plain_code_key", "drop it"),
    f"table: tree, {_HASH}": ("refers to the table itself", "drop it"),
    f"table: open, {_HASH}": ("constraint big of public.open is NOT VALID", "validate it"),
    f"table: deferred, {_HASH}": ("is deferrable", "migration before"),
    f"table: ruled, {_HASH}": ("has a rule, quiet", "drop it"),
    f"table: shown, {_HASH}": ("materialized view public.showing reads public.shown", "drop it"),
    f"table: typed, {_HASH}": ("function public.take(public.typed) uses public.typed", "drop it"),
    f"table: sampled, {_HASH}": ("statistics public.sample uses public.sampled", "drop it"),
    f"table: quick, {_HASH}": ("is unlogged", "SET LOGGED"),
    f"table: sent, {_HASH}": ("publication sending carries public.sent", "publish_via_partition_root"),
    f"table: parts, {_HASH}": ("is partitioned already", ""),
    f"table: part, {_HASH}": ("is a partition of public.parts", "DETACH"),
    "table: stamped, range: {column: at, bounds: ['2024-01-01', '2025-01-01']}": ("assigns at before", "default"),
    f"table: loose, {_HASH}": ("deferrable and acts", "not deferrable"),
    "table: grouped, key: [id, at], hash: {columns: [at], partitions: 2}": ("view public.groups has a GROUP BY", ""),
}


def test_what_cannot_go_over_is_refused_by_name_with_a_way_out(scene: Scene) -> None:
    scene.sql(MADE)
    old = scene.one("SHOW server_version_num") < "150000"
    for change, (what, fix) in REFUSED.items():
        problems = refusal(scene, f"partition_table: {{{change}}}")
        if old and "table: loose" in change:
            what, fix = "runs PostgreSQL 14", "upgrade"
        assert len(problems) == 1, change
        assert what in problems[0].what, change
        assert fix in (problems[0].fix or ""), change


@pytest.mark.parametrize(
    ("said", "because"),
    [
        ({}, "exactly one of `range`, `list` and `hash`"),
        ({"range": {"column": "at"}}, "give `from`, `to` and `every`, or give `bounds`"),
        ({"range": {"column": "at", "bounds": [1]}}, "needs two bounds"),
        ({"range": {"column": "at", "bounds": [1, 10, 5]}}, "comes after the one before"),
        ({"range": {"column": "at", "from": "2024-02-01", "to": "2024-01-01", "every": "day"}}, "comes after"),
        ({"range": {"column": "at", "from": "2024-01-01", "to": "2024-02-15", "every": "month"}}, "a whole number of"),
        ({"range": {"column": "at", "from": "2024-01-31", "to": "2024-03-31", "every": "month"}}, "not every month"),
        ({"range": {"column": "at", "from": "soon", "to": "2024-03-31", "every": "week"}}, "`from` is a date"),
        ({"range": {"column": "at", "from": "2024-01-01", "to": 9, "every": 3}}, "are numbers too"),
        ({"range": {"column": "at", "from": 0, "to": 10, "every": 3}}, "a whole number of"),
        ({"range": {"column": "at", "from": 0, "to": 10_000_000, "every": 1}}, "more than 2000 partitions"),
    ],
)
def test_partitions_that_make_no_sense_are_refused_when_read(said: dict[str, Any], because: str) -> None:
    with pytest.raises(ValidationError, match=because):
        CHANGES.model("partition_table").model_validate({"table": "t", **said})
