"""drop_table: hidden first, with its foreign keys gone one by one; back at once; dropped last."""

from __future__ import annotations

import time

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE shops (id int PRIMARY KEY);
CREATE TABLE coupons (
  id bigserial PRIMARY KEY,
  user_id int NOT NULL CONSTRAINT of_user REFERENCES users ON DELETE CASCADE,
  shop_id int CONSTRAINT of_shop REFERENCES shops,
  beside bigint REFERENCES coupons,
  code text UNIQUE,
  CHECK (code <> ''));
COMMENT ON CONSTRAINT of_user ON coupons IS 'whose';
CREATE INDEX coupons_by_user ON coupons (user_id);
ALTER TABLE coupons ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_see ON coupons USING (user_id > 0);
INSERT INTO users VALUES (1, 'a'), (2, 'b');
INSERT INTO shops VALUES (1);
INSERT INTO coupons (user_id, shop_id, code) SELECT 1 + i % 2, 1, 'c' || i FROM generate_series(1, 50) AS i"""
CHANGE = "drop_table: {table: coupons}"
WITHOUT_KEEP = "contract:\n  stages: [retire: {}, drop: {}]\n"


def test_the_table_is_gone_in_the_end_and_nothing_of_ours_is_left(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE, more=WITHOUT_KEEP)

    assert scene.up().ended == "complete"

    assert scene.one("SELECT to_regclass('coupons') IS NULL")
    assert scene.own_objects() == []
    assert scene.sql("SELECT * FROM users ORDER BY id") == [(1, "a"), (2, "b")]


def test_nothing_happens_to_it_before_retire(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE, more=WITHOUT_KEEP)
    before = scene.schema()

    scene.up(through="validate")

    assert scene.schema() == before


def test_it_comes_back_from_retire_as_it_was(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE)
    before = scene.schema(), rows(scene)

    scene.up(through="retire")
    with pytest.raises(psycopg.errors.UndefinedTable):
        scene.sql("SELECT FROM coupons")
    assert scene.rollback().ended == "undone"

    assert (scene.schema(), rows(scene)) == before


def test_it_is_kept_for_as_long_as_the_archive_says(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE, more="contract:\n  stages: [retire: {}, archive: {keep: 30d}, drop: {}]\n")
    before = scene.schema()

    assert scene.up().ended == "waiting"
    assert scene.one("SELECT count(*) FROM pg_class WHERE relname LIKE '\\_cf\\_%' AND relkind = 'r'") == 1
    scene.rollback()

    assert scene.schema() == before


def test_a_row_it_points_at_can_be_deleted_once_it_is_hidden(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE)
    scene.up(through="retire")

    scene.sql("DELETE FROM shops")

    assert scene.one("SELECT count(*) FROM shops") == 0


def test_it_comes_back_at_once_and_says_which_foreign_key_no_longer_holds(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE)
    before = scene.schema()
    scene.up(through="retire")
    scene.sql("DELETE FROM shops")

    with pytest.raises(Exception, match="of_shop"):
        scene.rollback()
    assert scene.one("SELECT count(*) FROM coupons") == 50
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        scene.sql("INSERT INTO coupons (user_id, shop_id) VALUES (1, 7)")
    scene.sql("INSERT INTO shops VALUES (1)")
    assert scene.rollback().ended == "undone"

    assert scene.schema() == before


def test_a_dropped_table_does_not_come_back(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE, more=WITHOUT_KEEP)
    scene.up()

    with pytest.raises(Exception, match="cannot be undone past drop"):
        scene.rollback()


def test_a_child_and_its_parent_are_dropped_together(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE notes (id int PRIMARY KEY, u int REFERENCES users)"
    )
    spec(scene, "drop_table: {table: notes}", "drop_table: {table: users}", more=WITHOUT_KEEP)
    before = scene.schema()

    scene.up(through="retire")
    scene.rollback()
    assert scene.schema() == before
    assert scene.up().ended == "complete"

    assert scene.one("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace") == 0


def test_a_partitioned_table_goes_with_its_partitions(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE events (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10); INSERT INTO events VALUES (1)"
    )
    spec(scene, "drop_table: {table: events}", more=WITHOUT_KEEP)
    before = scene.schema()
    scene.up(through="retire")
    scene.rollback()
    assert scene.schema() == before

    assert scene.up().ended == "complete"
    assert scene.one("SELECT to_regclass('events_1') IS NULL")


def test_writers_of_other_tables_go_on_and_those_of_the_table_until_retire(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE, more=WITHOUT_KEEP)

    def of_the_parent(connection: psycopg.Connection, dice: object, number: int) -> None:
        connection.execute("UPDATE users SET name = name || 'x' WHERE id = 1")
        connection.execute("INSERT INTO shops VALUES (9) ON CONFLICT DO NOTHING")
        connection.execute("DELETE FROM shops WHERE id = 9")

    def of_the_table(connection: psycopg.Connection, dice: object, number: int) -> None:
        connection.execute("INSERT INTO coupons (user_id, shop_id) VALUES (2, 1)")

    with Writers(scene.connect, of_the_table) as old, Writers(scene.connect, of_the_parent) as new:
        scene.up(through="validate")
        while old.statements < 20:
            time.sleep(0.01)
    assert (old.failures, new.failures) == ([], [])

    with Writers(scene.connect, of_the_parent) as new:
        assert scene.up().ended == "complete"
    assert new.failures == []


@pytest.mark.parametrize("point", ["before commit", "after commit", "before step"])
def test_a_runner_that_is_killed_is_gone_on_from(scene: Scene, point: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE, more=WITHOUT_KEEP)
    scene.up(through="validate")

    assert run_until_complete(scene, [f"{point}:{count}" for count in (1, 2, 2, 3)]) >= 2

    assert scene.one("SELECT to_regclass('coupons') IS NULL")
    assert scene.own_objects() == []


REFUSED = """
CREATE TABLE t (id int PRIMARY KEY, n serial);
CREATE TABLE free (id int PRIMARY KEY)"""


@pytest.mark.parametrize(
    ("made", "what", "fix"),
    [
        ("CREATE VIEW seen AS SELECT id FROM t", "is used by view public.seen", "drop or replace it"),
        ("CREATE MATERIALIZED VIEW seen AS SELECT id FROM t", "is used by materialized view public.seen", "drop or"),
        ("CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM t; END", "function public.f()", "drop"),
        ("CREATE FUNCTION f(r t) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.f(", "drop"),
        ("CREATE TABLE o (r t)", "column public.o.r", "drop or replace it"),
        (
            "CREATE TABLE o (t_id int CONSTRAINT of_t REFERENCES t)",
            "referenced by of_t on public.o",
            "drop_table above",
        ),
        ("CREATE TABLE o (n int DEFAULT nextval('t_n_seq'))", "sequence public.t_n_seq goes with", "OWNED BY NONE"),
        ("CREATE POLICY p ON free USING (id IN (SELECT id FROM t))", "policy p on public.free", "drop or replace it"),
        ("CREATE TABLE k () INHERITS (t)", "part of an inheritance tree: public.k", "NO INHERIT"),
    ],
)
def test_what_uses_the_table_is_refused_by_name(scene: Scene, made: str, what: str, fix: str) -> None:
    scene.sql(REFUSED)
    scene.sql(made)

    (problem,) = refusal(scene, "drop_table: {table: t}")

    assert what in problem.what
    assert fix in (problem.fix or "")


def test_its_own_policies_rules_statistics_and_triggers_are_no_obstacle(scene: Scene) -> None:
    scene.sql(REFUSED)
    scene.sql(
        "CREATE POLICY p ON t USING (n > 0); CREATE STATISTICS s ON id, n FROM t;"
        "CREATE RULE r AS ON DELETE TO t WHERE old.n = 1 DO INSTEAD NOTHING;"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.n := 1; RETURN new; END';"
        "CREATE TRIGGER g BEFORE UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )

    assert refusal(scene, "drop_table: {table: t}") == ()


def test_a_partition_is_refused(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE events (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10)"
    )

    (problem,) = refusal(scene, "drop_table: {table: events_1}")

    assert "DETACH PARTITION public.events_1 CONCURRENTLY" in (problem.fix or "")


def test_another_change_of_the_table_in_the_same_migration_is_refused(scene: Scene) -> None:
    scene.sql(REFUSED)

    (problem,) = refusal(scene, "add_column: {table: t, column: more, type: text}", "drop_table: {table: t}")

    assert "add_column is about the table of the drop_table in line" in problem.what


def test_the_plan_tells_what_fails_and_what_is_lost(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql(
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM coupons); END'"
    )
    spec(scene, CHANGE)

    hazards = {h.code: h.what for h in scene.runner().plan(scene.migration()).hazards}

    assert "of_shop" in hazards["held-by-old-rows"]
    assert hazards.keys() >= {"hidden-table", "irreversible-drop", "function-body"}
