"""Exclusion constraints: only where nobody is kept waiting, or where the spec accepts it."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import spec
from tests.changes.refusing import refusal
from tests.scene import Scene

from crossfade.execute import ExecutionFailed, StepRefused

EMPTY = "CREATE TABLE bookings (id int PRIMARY KEY, room int4range, during int4range, gone boolean)"
ROWS = f"{EMPTY}; INSERT INTO bookings VALUES (1, '[1,1]', '[1,5)'), (2, '[1,1]', '[5,9)')"
OVERLAP = "{expression: 'int4range(lower(during), upper(during))', with: '&&'}"
EXCLUDE = f"exclude: {{elements: [{{column: room, with: '='}}, {OVERLAP}], where: gone IS NOT TRUE}}"
CHANGE = f"add_constraint: {{table: bookings, name: apart, {EXCLUDE}}}"
ACCEPTED = CHANGE.removesuffix("}") + ", accept_blocking: true}"
SAID = (
    "ADD CONSTRAINT apart EXCLUDE USING gist (room WITH =, int4range(lower(during), upper(during)) WITH &&)"
    " WHERE ((gone IS NOT TRUE))"
)


@pytest.mark.parametrize(("schema", "change"), [(EMPTY, CHANGE), (ROWS, ACCEPTED)])
def test_it_is_added_to_an_empty_table_or_where_the_wait_is_accepted(live: Live, schema: str, change: str) -> None:
    assert live(schema, change).lines("EXCLUDE") == [SAID]


def test_a_table_made_in_the_same_migration_has_it_from_expand_on(scene: Scene) -> None:
    spec(
        scene,
        "create_table: {table: bookings, columns: [{name: room, type: int4range}, {name: during, type: int4range},"
        " {name: gone, type: boolean}]}",
        CHANGE,
    )

    scene.up(through="expand")

    assert SAID in scene.schema()


def test_a_table_with_rows_is_refused_with_its_size(scene: Scene) -> None:
    scene.sql(f"{ROWS}; ANALYZE bookings")

    (problem,) = refusal(scene, CHANGE)

    assert problem.what == (
        "public.bookings has about 2 rows, 0.0 MB, and an exclusion constraint cannot be added while it is used"
    )
    assert "accept_blocking: true" in (problem.fix or "")


def test_rows_that_came_since_the_plan_are_not_scanned_under_the_lock(scene: Scene) -> None:
    scene.sql(EMPTY)
    spec(scene, CHANGE)
    scene.up(through="backfill")
    scene.sql("INSERT INTO bookings VALUES (1)")

    with pytest.raises(StepRefused, match="was empty when this was planned, and is not any more"):
        scene.up()


def test_rows_that_conflict_leave_all_as_it_was(scene: Scene) -> None:
    scene.sql(f"{ROWS}; INSERT INTO bookings VALUES (3, '[1,1]', '[2,3)')")
    spec(scene, ACCEPTED)

    with pytest.raises(ExecutionFailed, match="exclusion constraint"):
        scene.up()

    assert scene.rollback().ended == "undone"


def test_who_waits_is_in_the_plan(scene: Scene) -> None:
    scene.sql(ROWS)
    spec(scene, ACCEPTED)

    hazards = {hazard.code: hazard.risk for hazard in scene.runner().plan(scene.migration()).hazards}

    assert hazards["blocked-while-built"] == "danger"


@pytest.mark.parametrize(
    ("element", "what"),
    [
        ("{column: room, with: '<<'}", "<< does not compare two values of int4range in an index of the method gist"),
        ("{column: id, with: '='}", "integer has no default operator class for gist"),
    ],
)
def test_an_operator_that_does_not_exclude_is_refused(scene: Scene, element: str, what: str) -> None:
    scene.sql(EMPTY)

    (problem,) = refusal(scene, f"add_constraint: {{table: bookings, name: c, exclude: {{elements: [{element}]}}}}")

    assert problem.what == what
