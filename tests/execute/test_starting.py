"""What keeps a migration from starting is told before anything is written."""

from __future__ import annotations

import time

import pytest
from tests.scene import Scene

from crossfade.catalog import CatalogLocked
from crossfade.changes import CHANGES
from crossfade.execute import Blocked, Runner, SpecEdited, pause, resume
from crossfade.gates import GATES
from crossfade.spec import load_project

ADD = "changes: [{add_column: {table: items, column: extra, type: text}}]\n"
# Its session has read the catalog, and rolled back: before that, it only asks the ledger.
PLANNING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'crossfade plan' AND query = 'ROLLBACK'"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    return scene


def test_a_migration_after_one_whose_spec_cannot_be_read_is_blocked_in_words(items: Scene) -> None:
    items.spec("changes: [{add_colum: {}}]\n", id="first")
    items.spec(f"after: [first]\n{ADD}", id="second")
    project = load_project(items.root, changes=CHANGES, gates=GATES, strict=False)
    (second,) = project.migrations

    with pytest.raises(Blocked, match="second comes after first, whose spec cannot be read"):
        Runner(project).advance(second)


def test_a_phase_there_is_not_is_refused_before_the_plan_is_frozen(items: Scene) -> None:
    items.spec(ADD)

    with pytest.raises(Blocked, match="m has no phase or stage retire"):
        items.up(through="retire")

    assert items.one("SELECT to_regnamespace('crossfade') IS NULL")


def test_a_plan_is_made_while_another_table_is_locked_exclusively(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY, a int DEFAULT 1)")
    scene.spec("changes: [{add_column: {table: items, column: extra, type: text}}]\n")
    with scene.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE other")

        assert scene.up().ended == "complete"


def test_a_table_of_its_own_that_stays_locked_exclusively_is_named_with_its_holder(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec("changes: [{add_column: {table: items, column: extra, type: text}}]\n")
    with scene.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE items")

        with pytest.raises(CatalogLocked, match=f"public.items by pid {holder.info.backend_pid}"):
            scene.up()


def test_a_migration_whose_spec_was_edited_is_taken_back_by_what_the_ledger_keeps(items: Scene) -> None:
    items.spec(ADD)
    items.up(through="expand")
    items.spec(ADD.replace("extra", "other"))
    with pytest.raises(SpecEdited):
        items.up()

    assert items.rollback().ended == "undone"
    assert items.columns("items") == ["id"]
    items.up()
    assert items.columns("items") == ["id", "other"]


def test_a_migration_whose_spec_is_gone_can_be_paused_and_taken_back(items: Scene) -> None:
    items.spec(ADD)
    items.up(through="expand")
    (items.root / "migration_specs" / "m.yaml").unlink()

    pause(items.project(), "m")
    resume(items.project(), "m")

    assert items.rollback().ended == "undone"
    assert items.columns("items") == ["id"]


def test_a_migration_that_neither_a_spec_nor_a_ledger_knows_is_told_so(items: Scene) -> None:
    items.spec(ADD)
    items.up()

    with pytest.raises(Blocked, match="there is no migration nothing"):
        items.rollback(id="nothing")


def test_a_spec_that_is_edited_before_anything_was_done_is_planned_anew(items: Scene) -> None:
    never = 'gates: {expand: [{sql: "SELECT false"}]}\n'
    items.spec(ADD + never)
    assert items.up().ended == "waiting"
    items.spec(ADD.replace("extra", "other"))

    assert items.up().ended == "complete"

    assert items.columns("items") == ["id", "other"]
    kinds = [event.kind for event in items.ledger().events("m")]
    assert kinds.index("migration started") < kinds.index("migration planned anew")
    assert not items.ledger().gates("m")


def test_what_another_runner_did_while_this_one_stalled_before_planning_is_gone_on_with(items: Scene) -> None:
    items.spec(ADD)
    with items.connect() as holder:
        # Planning waits for a table that is locked, after it has seen that nobody has started the migration.
        holder.execute("BEGIN; LOCK TABLE items")
        stalled = items.start_process()
        while not items.sql(PLANNING):
            assert stalled.running
            time.sleep(0.02)
        stalled.stall()
    items.up(through="expand")

    stalled.wake()

    assert stalled.ending().outcome == "complete"
    assert items.one("SELECT state FROM crossfade.migration") == "complete"
