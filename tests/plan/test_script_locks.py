"""What statements of an author's own lock is told as far as their text tells, with what does the same safely."""

from __future__ import annotations

import pytest
from tests.plan.conftest import Planning

from crossfade.plan import Plan, PlannedHazard
from crossfade.report import plan_markdown

AT_ONCE = "transaction: false, reason: repeatable"


def planned(planning: Planning, statement: str, more: str = "down: SELECT 1") -> Plan:
    return planning(f"sql: {{up: {statement!r}, {more}}}")


def named(plan: Plan, code: str) -> list[PlannedHazard]:
    return [hazard for hazard in plan.hazards if hazard.code == code]


def locks(plan: Plan) -> list[tuple[str, str]]:
    return [(str(lock.relation), lock.mode) for lock in plan.steps[0].locks]


@pytest.mark.parametrize(
    ("statement", "lock", "fix"),
    [
        ("ALTER TABLE items ADD CHECK (id > 0)", "ACCESS EXCLUSIVE", "use `add_constraint`"),
        ("ALTER TABLE items ALTER id TYPE bigint, ALTER code SET NOT NULL", "ACCESS EXCLUSIVE", "use `change_column`"),
        ("ALTER TABLE items SET LOGGED", "ACCESS EXCLUSIVE", "neither reads nor rewrites"),
        ("ALTER TABLE items DISABLE TRIGGER USER", "SHARE ROW EXCLUSIVE", "neither reads nor rewrites"),
        ("ALTER TABLE items RENAME code TO word", "ACCESS EXCLUSIVE", "use `rename_column`"),
        ("LOCK items IN SHARE MODE", "SHARE", "leave it out"),
        ("CREATE INDEX ON items (code)", "SHARE", "use `create_index`"),
        ("CREATE TABLE parts (item bigint REFERENCES items)", "SHARE ROW EXCLUSIVE", "use `create_table`"),
        ("CREATE POLICY mine ON items", "ACCESS EXCLUSIVE", "use `create_policy`"),
        ("TRUNCATE public.items", "ACCESS EXCLUSIVE", "use `delete_rows`"),
        ("DROP TABLE items", "ACCESS EXCLUSIVE", "use `drop_table`"),
        ("CLUSTER items USING by_code", "ACCESS EXCLUSIVE", "pg_repack"),
        ("REINDEX TABLE items", "SHARE", "use `rebuild_index`"),
    ],
)
def test_what_it_locks_is_named_with_a_safer_way(planning: Planning, statement: str, lock: str, fix: str) -> None:
    plan = planned(planning, statement)

    assert locks(plan) == [("public.items", lock)]
    (hazard,) = named(plan, "sql-locks")
    assert f" takes {lock} on public.items: " in hazard.what
    assert fix in (hazard.fix or "")
    assert not named(plan, "sql-locks-unknown")
    assert "of public.items wait until it is done" in plan_markdown(plan)


def test_the_strongest_lock_on_a_table_counts(planning: Planning) -> None:
    plan = planned(planning, "COMMENT ON TABLE items IS 'x'; ALTER TABLE items ADD a int; CREATE INDEX ON items (a)")

    assert locks(plan) == [("public.items", "ACCESS EXCLUSIVE")]


def test_vacuum_full_is_named(planning: Planning) -> None:
    plan = planned(planning, "VACUUM (FULL) items", AT_ONCE)

    assert locks(plan) == [("public.items", "ACCESS EXCLUSIVE")]
    assert len(named(plan, "sql-locks")) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY i ON items (code)",
        "REINDEX TABLE CONCURRENTLY items",
        "VACUUM (FULL false) items",
        "COMMENT ON COLUMN items.code IS 'x'",
        "ALTER TABLE items SET (fillfactor = 80), ALTER code SET STATISTICS 100",
    ],
)
def test_what_keeps_no_client_waiting_is_shown_and_is_no_hazard(planning: Planning, statement: str) -> None:
    plan = planned(planning, statement, AT_ONCE)

    assert locks(plan) == [("public.items", "SHARE UPDATE EXCLUSIVE")]
    assert not named(plan, "sql-locks") + named(plan, "sql-locks-unknown")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE fresh (id int); ALTER TABLE fresh ADD CHECK (id > 0); CREATE INDEX ON fresh (id)",
        "CREATE VIEW codes AS SELECT code FROM items; COMMENT ON VIEW codes IS 'x'",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql RETURN 1; GRANT EXECUTE ON FUNCTION one TO PUBLIC",
    ],
)
def test_what_is_new_is_locked_for_nobody(planning: Planning, statement: str) -> None:
    plan = planned(planning, statement)

    assert locks(plan) == []
    assert not named(plan, "sql-locks") + named(plan, "sql-locks-unknown")
    assert "nobody waits" in plan_markdown(plan)


@pytest.mark.parametrize(
    ("statement", "kind"), [("UPDATE items SET code = code", "update_rows"), ("DELETE FROM items", "delete_rows")]
)
def test_rows_that_are_held_until_the_step_ends_are_told(planning: Planning, statement: str, kind: str) -> None:
    (hazard,) = named(planned(planning, statement), "sql-holds-rows")

    assert f"use `{kind}`" in (hazard.fix or "")


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DO $$ BEGIN NULL; END $$", "DO"),
        ("SELECT lo_unlink(1)", "a function that is called"),
        ("DROP TABLE items CASCADE", "DROP TABLE ... CASCADE"),
        ("DROP TABLE elsewhere.things", "DROP TABLE on elsewhere.things"),
    ],
)
def test_what_cannot_be_told_is_named(planning: Planning, statement: str, what: str) -> None:
    plan = planned(planning, statement)

    (hazard,) = named(plan, "sql-locks-unknown")
    assert f"locked by {what}, nor" in hazard.what
    assert "locks not known" in plan_markdown(plan)
