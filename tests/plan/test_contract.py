"""Contract ends with the last stage the spec names, and the plan says what that leaves behind."""

from __future__ import annotations

import pytest
from tests.changes.life import spec
from tests.plan.conftest import Planning
from tests.scene import Scene

from crossfade.changes import Refused

RENAME = "rename_column: {table: items, from: code, to: number}"
DROP = "drop_column: {table: items, column: code}"
SWAP = "change_column: {table: items, column: code, to: {type: int}}"
FILL = "add_column: {table: items, column: twice, type: text, up: code || code}"


def contract(*stages: str) -> str:
    return f"contract: {{stages: [{', '.join(stages)}]}}\n"


@pytest.mark.parametrize(
    ("change", "stages", "legs"),
    [
        (RENAME, ["retire: {}"], ["retire"]),
        (DROP, ["retire: {}"], ["retire"]),
        (DROP, ["archive: {}"], ["retire", "archive"]),
        (SWAP, ["cutover: {}"], ["cutover"]),
        (SWAP, ["retire: {}"], ["cutover"]),
        (SWAP, ["drop: {}"], ["cutover", "archive", "drop"]),
        (FILL, ["retire: {}"], ["retire"]),
        ("create_index: {table: items, name: i, columns: [code]}", ["retire: {}"], []),
    ],
)
def test_contract_ends_with_the_last_stage_named_and_has_those_before_it(
    planning: Planning, change: str, stages: list[str], legs: list[str]
) -> None:
    plan = planning(change, more=contract(*stages))

    assert [str(leg) for leg in plan.legs if leg.phase == "contract"] == legs


@pytest.mark.parametrize(
    ("change", "last", "needed"),
    [
        (RENAME, "cutover", "retire"),
        (SWAP, "tighten", "cutover"),
        ("change_column: {table: items, column: code, to: {default: \"'x'\"}}", "tighten", "cutover"),
        ("drop_index: {index: by_code}", "archive", "drop"),
        ("sql: {up: SELECT 1, phase: contract}", "retire", "drop"),
    ],
)
def test_a_change_that_would_stay_half_done_is_refused_with_the_stage_to_name(
    planning: Planning, change: str, last: str, needed: str
) -> None:
    with pytest.raises(Refused) as refusal:
        planning(change, more=contract(f"{last}: {{}}"))

    assert f"is done in `{needed}`" in refusal.value.what
    assert refusal.value.problems[0].where is not None
    assert refusal.value.problems[0].where.line == 7


def test_what_is_left_behind_is_a_hazard(planning: Planning) -> None:
    hazards = {hazard.code: hazard for hazard in planning(RENAME, more=contract("retire: {}")).hazards}

    assert "never done: end the sync of public.items; drop code of public.items" in hazards["contract-ends-early"].what
    assert "no-archive" not in hazards
    assert "unguarded-drop" not in hazards


def test_nothing_is_left_behind_where_contract_goes_to_its_end(planning: Planning) -> None:
    plan = planning("create_index: {table: items, name: i, columns: [code]}", more=contract("retire: {}"))

    assert plan.hazards == ()


def test_a_drop_without_an_archive_is_unguarded_even_behind_a_gate(planning: Planning) -> None:
    hazards = {
        hazard.code
        for hazard in planning(DROP, more="gates: {contract: [{approval: {}}]}\n" + contract("drop: {}")).hazards
    }

    assert {"no-archive", "unguarded-drop"} <= hazards


def test_a_gate_after_the_drop_does_not_guard_it(planning: Planning) -> None:
    plan = planning(DROP, more="gates: {contract: {after: [{approval: {}}]}}\n")

    assert "unguarded-drop" in {hazard.code for hazard in plan.hazards}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("gates: {contract: [{approval: {}}]}\n", "the gates before contract are never asked"),
        ("contract: {window: {days: mon}}\n", "the window of contract is never asked"),
        (contract("archive: {after: 7d}"), "`after: 7d` of `archive` is not waited for"),
        (contract("archive: {keep: 30d}"), "`keep: 30d` of `archive` keeps nothing"),
    ],
)
def test_what_is_said_of_a_contract_with_nothing_to_do_is_named(planning: Planning, more: str, said: str) -> None:
    (hazard,) = planning("create_index: {table: items, name: i, columns: [code]}", more=more).hazards

    assert hazard.code == "never-asked"
    assert hazard.what.startswith(said)


def test_a_migration_that_ends_with_retire_keeps_both_sides_in_step_and_can_be_turned_back(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text); INSERT INTO items VALUES (1, 'a')")
    spec(scene, RENAME, more=contract("retire: {}"))

    assert scene.up().ended == "complete"
    scene.sql("UPDATE items SET number = 'b'")
    assert scene.rollback().ended == "undone"

    assert scene.sql("SELECT * FROM items") == [(1, "b")]
