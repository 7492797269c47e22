"""Statements of an author's own that keep others waiting are named, with what does the same safely."""

from __future__ import annotations

import pytest
from tests.plan.conftest import Planning

from crossfade.plan import PlannedHazard
from crossfade.report import plan_markdown


def of(planning: Planning, statement: str, more: str = "down: SELECT 1") -> list[PlannedHazard]:
    plan = planning(f"sql: {{up: '{statement}', {more}}}")
    assert "nobody waits" not in plan_markdown(plan)
    assert "locks not known" in plan_markdown(plan)
    return [hazard for hazard in plan.hazards if hazard.code == "sql-locks"]


@pytest.mark.parametrize(
    ("statement", "lock", "fix"),
    [
        ("ALTER TABLE items ADD CHECK (id > 0)", "ACCESS EXCLUSIVE", "use `add_constraint`"),
        ("ALTER TABLE items ALTER id TYPE bigint, ALTER code SET NOT NULL", "ACCESS EXCLUSIVE", "use `change_column`"),
        ("ALTER TABLE items SET LOGGED", "ACCESS EXCLUSIVE", "neither reads nor rewrites"),
        ("LOCK items IN SHARE MODE", "SHARE", "leave it out"),
        ("CREATE INDEX ON items (code)", "SHARE", "use `create_index`"),
        ("CLUSTER items USING by_code", "ACCESS EXCLUSIVE", "pg_repack"),
        ("REINDEX TABLE items", "SHARE", "CONCURRENTLY"),
    ],
)
def test_what_it_locks_is_named_with_a_safer_way(planning: Planning, statement: str, lock: str, fix: str) -> None:
    (hazard,) = of(planning, statement)

    assert lock in hazard.what
    assert "items" in hazard.what
    assert fix in (hazard.fix or "")


def test_vacuum_full_is_named(planning: Planning) -> None:
    (hazard,) = of(planning, "VACUUM (FULL) items", "transaction: false, reason: repeatable")

    assert "ACCESS EXCLUSIVE" in hazard.what


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY i ON items (code)",
        "REINDEX TABLE CONCURRENTLY items",
        "VACUUM (FULL false) items",
        "CREATE TABLE fresh (id int); ALTER TABLE fresh ADD CHECK (id > 0); CREATE INDEX ON fresh (id)",
    ],
)
def test_what_keeps_nobody_waiting_is_not_named(planning: Planning, statement: str) -> None:
    assert of(planning, statement, "transaction: false, reason: repeatable") == []
