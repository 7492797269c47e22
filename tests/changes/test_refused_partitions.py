"""Refused when planning: what belongs to one partition alone, and triggers that write after ours, on any of them."""

from __future__ import annotations

import pytest
from tests.changes.life import spec
from tests.changes.refusing import refusal
from tests.scene import Scene

PARTED = "CREATE TABLE p (id int, at date, code text) PARTITION BY RANGE (at);"
ONE = PARTED + "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');"


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        (ONE + "CREATE VIEW v AS SELECT code FROM p1", "public.p1 (code) is used by view public.v"),
        (
            ONE + "ALTER TABLE p1 ADD UNIQUE (code); CREATE TABLE c (code text REFERENCES p1 (code))",
            "public.p1 (code) is used by foreign key c_code_fkey on public.c",
        ),
        (ONE + "ALTER TABLE p1 ADD PRIMARY KEY (code)", "code is in the primary key"),
        (
            PARTED + "CREATE TABLE p1 PARTITION OF p DEFAULT PARTITION BY LIST (code)",
            "public.p1 is partitioned by LIST (code)",
        ),
    ],
)
def test_what_stands_in_the_way_of_one_partition_is_refused(scene: Scene, schema: str, what: str) -> None:
    scene.sql(schema)

    (problem,) = refusal(scene, "drop_column: {table: p, column: code}")

    assert problem.what.startswith(what)


ALONE = [
    ("CREATE INDEX alone ON p1 (code)", "index alone of public.p1 reads code"),
    ("CREATE INDEX whole ON p (code)", "index whole of public.p reads code"),
    (
        "CREATE TABLE t (code text PRIMARY KEY); ALTER TABLE p1 ADD FOREIGN KEY (code) REFERENCES t",
        "foreign key p1_code_fkey of public.p1 reads code",
    ),
    ("ALTER TABLE p1 ADD CONSTRAINT alone CHECK (code <> '')", "public.p1 has a check alone on code that public.p has"),
    ("ALTER TABLE p1 ALTER code SET NOT NULL", "public.p1 has a NOT NULL on code that public.p has not"),
    ("ALTER TABLE p1 ALTER code SET DEFAULT 'x'", "public.p1 has a default of code that public.p has not"),
]


@pytest.mark.parametrize("change", ["drop_column: {column: code", "rename_column: {from: code, to: number"])
@pytest.mark.parametrize(("schema", "what"), ALONE, ids=[case[1] for case in ALONE])
def test_what_would_not_come_back_on_a_partition_is_refused(scene: Scene, change: str, schema: str, what: str) -> None:
    scene.sql(ONE + schema)

    (problem,) = refusal(scene, f"{change}, table: p}}")

    assert problem.what.startswith(what)


def test_a_grant_on_the_column_of_one_partition_is_refused(scene: Scene) -> None:
    scene.sql(ONE + "GRANT SELECT (code) ON p1 TO PUBLIC")

    (problem,) = refusal(scene, "rename_column: {table: p, from: code, to: number}")

    assert problem.what.startswith("public.p1.code has privileges of its own")


def test_a_partition_key_is_told_by_its_columns_not_by_its_text(scene: Scene) -> None:
    scene.sql("CREATE TABLE p (id int, created_at date, at date) PARTITION BY RANGE (created_at)")

    assert refusal(scene, "drop_column: {table: p, column: at}") == ()


@pytest.mark.parametrize(
    "change",
    ["rename_column: {table: p, from: code, to: number}", "update_rows: {table: p, set: {code: code || '!'}}"],
)
def test_a_trigger_of_one_partition_does_not_fire_for_rows_we_fill(scene: Scene, change: str) -> None:
    scene.sql(
        "CREATE TABLE fired (id int);"
        "CREATE TABLE p (id int PRIMARY KEY, code text) PARTITION BY LIST (id);"
        "CREATE TABLE p1 PARTITION OF p DEFAULT; INSERT INTO p VALUES (1, 'a');"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO fired VALUES (new.id); RETURN new; END $$;"
        "CREATE TRIGGER noted AFTER UPDATE ON p1 FOR EACH ROW EXECUTE FUNCTION note()"
    )
    spec(scene, change)

    scene.up(through="backfill")

    assert scene.one("SELECT count(*) FROM fired") == 0
