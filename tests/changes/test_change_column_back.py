"""The way back of change_column: nobody waits for it, nothing is cut off, and what stands in its way is said first."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec
from tests.changes.refusing import refusal
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import Blocked, StepRefused
from crossfade.steps.step import BACKFILL

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, code varchar(10) DEFAULT 'none', must text NOT NULL, free varchar);
CREATE INDEX by_code ON items (code); CREATE INDEX by_free ON items (free);
INSERT INTO items SELECT i, 'c' || i, 'm', 'f' FROM generate_series(1, 20000) AS i"""
# Neither a table may be rewritten, nor NOT NULL be set by a scan under the lock it takes.
WATCH = """
CREATE FUNCTION refuse_rewrite() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the table is rewritten'; END $$;
CREATE EVENT TRIGGER no_rewrite ON table_rewrite EXECUTE FUNCTION refuse_rewrite();
CREATE FUNCTION refuse_scan() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  IF current_query() LIKE '%ALTER COLUMN%SET NOT NULL%' AND NOT EXISTS (
       SELECT FROM pg_constraint WHERE contype = 'c' AND convalidated AND conrelid = 'items'::regclass
          AND pg_get_constraintdef(oid) LIKE '%IS NOT NULL%') THEN
    RAISE EXCEPTION 'the table is scanned';
  END IF; END $$;
CREATE EVENT TRIGGER no_scan ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION refuse_scan()"""
LOOSE = "change_column: {table: items, column: must, to: {nullable: true}}"
WIDER = "change_column: {table: items, column: code, to: {type: varchar(20)}}"
AT_ONCE = "change_column: {table: items, column: code, to: {type: varchar(20)}, strategy: in_place}"
TO_TEXT = "change_column: {table: items, column: free, to: {type: text}}"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    return scene


def read(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
    app.execute("SELECT id, code, must FROM items WHERE id = %s", (dice.randrange(20000),)).fetchone()


def write(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
    app.execute("UPDATE items SET code = 'w', must = 'w' WHERE id = %s", (dice.randrange(20000),))


@pytest.mark.parametrize(
    ("change", "through"), [(LOOSE, "expand"), (WIDER, "cutover"), (TO_TEXT, "cutover")], ids=["null", "wider", "text"]
)
def test_the_schema_comes_back_without_a_rewrite_or_a_scan_under_lock_while_others_read_and_write(
    items: Scene, change: str, through: str
) -> None:
    before = items.schema()
    items.sql(WATCH)
    spec(items, change)

    with Writers(items.connect, read, read, write) as clients:
        items.up(through=through)
        assert items.rollback().ended == "undone"

    items.sql("DROP EVENT TRIGGER no_rewrite; DROP EVENT TRIGGER no_scan")
    items.sql("DROP FUNCTION refuse_rewrite(); DROP FUNCTION refuse_scan()")
    assert clients.failures == []
    assert items.schema() == before
    assert items.own_objects() == []


def test_a_null_that_was_written_since_holds_up_the_rollback_before_anything_is_taken_back(items: Scene) -> None:
    before = items.schema()
    spec(items, LOOSE)
    items.up()
    items.sql("UPDATE items SET must = NULL WHERE id IN (7, 8)")

    with pytest.raises(StepRefused, match=r"^2 rows without a value in public\.items\.must") as refused:
        items.rollback()

    assert 'SELECT "t"."id" FROM "public"."items" AS "t" WHERE' in str(refused.value.fix)
    assert "roll back again" in str(refused.value.fix)
    assert items.up().ended == "complete"  # and not: it is being undone

    items.sql("UPDATE items SET must = 'm' WHERE must IS NULL")
    assert items.rollback().ended == "undone"
    assert items.schema() == before


def test_a_value_that_was_written_since_and_is_too_long_holds_up_the_rollback_before_anything_is_taken_back(
    items: Scene,
) -> None:
    before = items.schema()
    spec(items, WIDER)
    items.up(through="cutover")
    items.sql("UPDATE items SET code = 'longer than ten' WHERE id IN (7, 8)")

    with pytest.raises(StepRefused, match=r"^2 rows in conflict \(`crossfade conflicts m` lists them\)"):
        items.rollback()

    record = items.ledger().migration("m")
    assert record is not None
    assert record.state == "running"

    items.sql("UPDATE items SET code = 'short' WHERE id = 7")
    items.sql("DELETE FROM items WHERE id = 8")
    assert items.rollback().ended == "undone"
    assert items.schema() == before
    assert items.one("SELECT code FROM items WHERE id = 7") == "short"


@pytest.mark.parametrize(("column", "type_"), [("code", "varchar(5)"), ("code", "char(5)"), ("id", "varchar(4)")])
def test_a_value_too_long_for_the_new_type_is_in_conflict_and_not_cut_off(
    items: Scene, column: str, type_: str
) -> None:
    items.sql("DELETE FROM items WHERE id < 19999; ALTER TABLE items DROP CONSTRAINT items_pkey, ADD k int UNIQUE")
    items.sql("UPDATE items SET k = id; ALTER TABLE items ALTER k SET NOT NULL")
    spec(items, f"change_column: {{table: items, column: {column}, to: {{type: {type_}}}}}")

    with pytest.raises(StepRefused, match=r"2 rows in conflict"):
        items.up()

    assert items.sql("SELECT id, code FROM items WHERE k = 20000") == [(20000, "c20000")]


def test_what_only_a_rewrite_would_take_back_is_copied_and_the_plan_says_why(items: Scene) -> None:
    spec(items, WIDER)

    plan = items.runner().plan(items.migration())

    assert [step.id for step in plan.steps_of(BACKFILL)] == ["public.items/backfill"]
    assert "copied-to-come-back" in {hazard.code for hazard in plan.hazards}


def test_in_place_it_is_done_at_once_and_refused_to_be_taken_back(items: Scene) -> None:
    items.sql(WATCH)
    spec(items, AT_ONCE)
    hazards = {hazard.code: hazard.risk for hazard in items.runner().plan(items.migration()).hazards}
    assert hazards["no-way-back"] == "danger"

    items.up()

    with pytest.raises(Blocked, match=r"cannot be undone past cutover: change the type of public\.items\.code"):
        items.rollback()
    assert items.up().ended == "complete"


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("{type: integer}, up: '1', down: code", "`up` and `down` give other values"),
        ("{type: varchar(5)}", "PostgreSQL rewrites the table from character varying(10) to character varying(5)"),
        ("{type: text}", "check items_code_check reads it"),
    ],
)
def test_in_place_is_refused_where_it_is_not_the_catalog_alone(items: Scene, to: str, why: str) -> None:
    items.sql("ALTER TABLE items ADD CHECK (code <> '')")
    change = f"change_column: {{table: items, column: code, to: {to}, strategy: in_place}}"

    (problem,) = refusal(items, change)

    assert problem.what == "public.items.code cannot be changed in place"
    assert (problem.why or "").startswith(why)
    assert problem.where is not None
    assert problem.where.column == len("  - ") + change.index("in_place") + 1


def test_a_swap_that_something_hinders_says_that_it_can_be_done_in_place(items: Scene) -> None:
    items.sql("CREATE MATERIALIZED VIEW codes AS SELECT code FROM items")

    (problem,) = refusal(items, WIDER)

    assert "is used by materialized view public.codes" in problem.what
    assert "or say `strategy: in_place`" in (problem.fix or "")
