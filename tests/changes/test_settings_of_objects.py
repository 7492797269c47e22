"""set_comment, set_replica_identity, set_storage_parameters and create_extension."""

from __future__ import annotations

import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.scene import Scene

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad');
CREATE DOMAIN short AS text;
CREATE SEQUENCE numbers;
CREATE TABLE "T" (id int PRIMARY KEY, "Name" text CONSTRAINT named CHECK ("Name" <> ''), code int NOT NULL, loose int)
  WITH (fillfactor = 90, autovacuum_enabled = false, toast.autovacuum_enabled = false);
CREATE UNIQUE INDEX codes ON "T" (code);
CREATE UNIQUE INDEX looses ON "T" (loose);
CREATE UNIQUE INDEX few ON "T" (code) WHERE code > 1;
CREATE INDEX plain ON "T" (code);
COMMENT ON TABLE "T" IS 'before';
CREATE POLICY p ON "T" USING (true);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER tr AFTER UPDATE ON "T" FOR EACH ROW EXECUTE FUNCTION f();
CREATE VIEW v AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW m AS SELECT 1 AS one;
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)"""

TOLD = {
    "table: T": 'TABLE public."T"',
    "table: T, column: Name": 'COLUMN public."T"."Name"',
    "table: T, constraint: named": 'CONSTRAINT named ON public."T"',
    "table: T, trigger: tr": 'TRIGGER tr ON public."T"',
    "table: T, policy: p": 'POLICY p ON public."T"',
    "view: v": "VIEW public.v",
    "view: m": "MATERIALIZED VIEW public.m",
    "index: codes": "INDEX public.codes",
    "sequence: numbers": "SEQUENCE public.numbers",
    "type: mood": "TYPE public.mood",
    "type: short": "DOMAIN public.short",
}


def test_everything_that_can_be_told_of_is_told_of_and_back(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, *(f"set_comment: {{{of}, comment: it's new}}" for of in TOLD))

    said = lived.lines("COMMENT ON")
    assert {f"COMMENT ON {subject} IS 'it''s new'" for subject in TOLD.values()} <= set(said)


def test_a_comment_is_taken_away(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, "set_comment: {table: T, comment: null}")

    assert lived.lines('COMMENT ON TABLE public."T"') == []


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("index: codes", 'ALTER TABLE ONLY public."T" REPLICA IDENTITY USING INDEX codes'),
        ("identity: full", 'ALTER TABLE ONLY public."T" REPLICA IDENTITY FULL'),
        ("identity: nothing", 'ALTER TABLE ONLY public."T" REPLICA IDENTITY NOTHING'),
    ],
)
def test_a_table_gets_another_replica_identity_and_its_own_back(scene: Scene, given: str, line: str) -> None:
    assert whole_way(scene, SCHEMA, f"set_replica_identity: {{table: T, {given}}}").lines("REPLICA IDENTITY") == [line]


def test_each_partition_gets_the_replica_identity(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, "set_replica_identity: {table: parts, identity: full}")

    assert [line.split()[3] for line in lived.lines("REPLICA IDENTITY")] == ["public.part_1", "public.part_2"]


def test_storage_parameters_are_set_taken_away_and_brought_back(scene: Scene) -> None:
    given = "{fillfactor: 70, autovacuum_vacuum_scale_factor: 0.01, autovacuum_enabled: null"
    given += ", toast.autovacuum_enabled: true}"
    whole_way(scene, SCHEMA, f"set_storage_parameters: {{table: T, set: {given}}}")

    (options,) = scene.sql(
        "SELECT c.reloptions, t.reloptions FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid"
        " WHERE c.relname = 'T'"
    )
    assert options == (["fillfactor=70", "autovacuum_vacuum_scale_factor=0.01"], ["autovacuum_enabled=true"])


def test_each_partition_gets_the_storage_parameters(scene: Scene) -> None:
    whole_way(scene, SCHEMA, "set_storage_parameters: {table: parts, set: {fillfactor: 60}}")

    assert scene.one("SELECT count(*) FROM pg_class WHERE reloptions = '{fillfactor=60}'") == 2


def test_an_extension_is_created_and_dropped_by_an_undo(scene: Scene) -> None:
    if not scene.sql("SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'"):
        pytest.skip("the server has no pg_trgm at hand")
    lived = whole_way(scene, "CREATE SCHEMA more", "create_extension: {extension: pg_trgm, schema: more}")

    assert "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA more" in lived.schema


def test_an_extension_that_is_there_stays_when_the_migration_is_undone(scene: Scene) -> None:
    spec(scene, "create_extension: {extension: plpgsql}")

    assert [h.code for h in scene.runner().plan(scene.migration()).hazards if h.change == "create_extension"] == [
        "already-there"
    ]
    scene.up()
    scene.rollback()

    assert scene.one("SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql'") == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("set_comment: {table: T, column: nam, comment: x}", "column nam does not exist"),
        ("set_comment: {table: T, trigger: nam, comment: x}", "has no trigger nam"),
        ("set_comment: {index: nam, comment: x}", "index public.nam does not exist"),
        ("set_comment: {view: nam, comment: x}", "view public.nam does not exist"),
        ("set_replica_identity: {table: T, index: plain}", "index plain is not unique"),
        ("set_replica_identity: {table: T, index: looses}", "holds loose, which may be NULL"),
        ("set_replica_identity: {table: T, index: few}", "index few is partial"),
        ("set_replica_identity: {table: parts, index: few}", "public.parts is partitioned"),
        ("set_storage_parameters: {table: T, set: {filfactor: 1}}", "no storage parameter filfactor"),
        ("create_extension: {extension: pg_trgn}", "has no extension pg_trgn at hand"),
        ("create_extension: {extension: plpgsql, version: '9'}", "has plpgsql 1.0, not 9"),
    ],
)
def test_what_cannot_be_is_refused(scene: Scene, change: str, what: str) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, change)

    assert what in problem.what


def test_an_identity_without_which_updates_would_be_refused_is_refused(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql('CREATE PUBLICATION pub FOR TABLE "T"')

    (problem,) = refusal(scene, "set_replica_identity: {table: T, identity: nothing}")

    assert "in a publication that carries updates" in problem.what


def test_two_objects_in_one_comment_are_refused_when_the_spec_is_read(scene: Scene) -> None:
    spec(scene, "set_comment: {table: T, view: v, comment: x}")

    with pytest.raises(Exception, match="name one object"):
        scene.migration()
