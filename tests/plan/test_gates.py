"""Gates stand where the spec says: before what needs permission, after what needs proof, soaks and windows included."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from tests.changes.life import spec
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.server import Server

Gates = dict[str, list[tuple[str, dict[str, Any]]]]
Planned = Callable[..., Gates]
DROP = "drop_column: {table: items, column: gone}"
ADD = "add_column: {table: items, column: extra, type: text}"


@pytest.fixture(scope="module")
def planned(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Planned]:
    """Gates by point, of a spec with these changes and this more."""
    with shared_scenes(server, tmp_path_factory) as new_scene:
        scene: Scene = new_scene()
        scene.sql(
            "CREATE TABLE items (id int PRIMARY KEY, gone text, code text); CREATE TABLE keyless (a text, b text)"
        )

        def plan(*changes: str, more: str) -> Gates:
            spec(scene, *changes, more=more)
            plan = scene.runner().plan(scene.migration())
            return {at.point: [(gate.kind, gate.body) for gate in at.gates] for at in plan.gates}

        yield plan


SOAK: tuple[str, dict[str, Any]] = ("soak", {"soak": "1d"})
TRUE: tuple[str, dict[str, Any]] = ("sql", {"sql": "SELECT true"})


@pytest.mark.parametrize(
    ("phase", "point"),
    [
        ("expand", "before expand"),
        ("backfill", "after backfill"),
        ("validate", "after validate"),
        ("contract", "before retire"),
    ],
)
def test_a_plain_list_means_permission_to_begin_or_proof_at_the_end(planned: Planned, phase: str, point: str) -> None:
    assert planned(DROP, more=f"gates: {{{phase}: [{{sql: SELECT true}}]}}\n") == {point: [TRUE]}


@pytest.mark.parametrize("phase", ["expand", "backfill", "validate"])
def test_before_and_after_are_taken_at_their_word(planned: Planned, phase: str) -> None:
    gates = planned(
        DROP, more=f"gates: {{{phase}: {{before: [{{sql: SELECT true}}], after: [{{sql: SELECT 1=1}}]}}}}\n"
    )

    assert gates == {f"before {phase}": [TRUE], f"after {phase}": [("sql", {"sql": "SELECT 1=1"})]}


def test_gates_of_contract_as_a_whole_stand_before_its_first_and_after_its_last_stage(planned: Planned) -> None:
    gates = planned(DROP, more="gates: {contract: {before: [{soak: 1d}], after: [{soak: 2d}]}}\n")

    assert gates == {"before retire": [SOAK], "after drop": [("soak", {"soak": "2d"})]}


def test_a_stages_own_gates_stand_at_that_stage(planned: Planned) -> None:
    stages = "[retire: {}, archive: {gates: [{soak: 1d}]}, drop: {gates: {before: [{soak: 2d}], after: [{soak: 3d}]}}]"

    assert planned(DROP, more=f"contract: {{stages: {stages}}}\n") == {
        "before archive": [SOAK],
        "before drop": [("soak", {"soak": "2d"})],
        "after drop": [("soak", {"soak": "3d"})],
    }


def test_after_of_a_stage_is_a_soak_before_it(planned: Planned) -> None:
    gates = planned(DROP, more="contract: {stages: [retire: {after: 1h}, archive: {after: 7d}, drop: {after: 1.5s}]}\n")

    assert gates == {
        "before retire": [("soak", {"soak": "3600000ms"})],
        "before archive": [("soak", {"soak": "604800000ms"})],
        "before drop": [("soak", {"soak": "1500ms"})],
    }


def test_the_window_guards_every_stage_and_no_phase_before(planned: Planned) -> None:
    gates = planned(DROP, more="contract: {window: {days: mon-thu, hours: '09:00-16:00', timezone: Europe/Oslo}}\n")

    assert list(gates) == ["before retire", "before archive", "before drop"]
    assert {kind for at in gates.values() for kind, _ in at} == {"window"}


def test_gates_of_one_point_stand_in_the_order_they_were_written_then_soak_then_window(planned: Planned) -> None:
    gates = planned(
        DROP,
        more="gates: {contract: [{approval: {count: 2}}, {sql: SELECT true}]}\n"
        "contract: {window: {days: mon, hours: '09:00-10:00', timezone: UTC}, stages: [retire: {after: 1h}]}\n",
    )

    assert [kind for kind, _ in gates["before retire"]] == ["approval", "sql", "soak", "window"]


def test_without_a_key_the_drop_waits_for_as_long_as_values_are_kept(planned: Planned) -> None:
    stages = "[archive: {keep: 2d}, drop: {after: 1h}]"

    gates = planned("drop_column: {table: keyless, column: b}", more=f"contract: {{stages: {stages}}}\n")

    assert gates["before drop"] == [("soak", {"soak": "172800000ms"})]


def test_a_stage_that_does_nothing_and_says_nothing_is_no_leg(planned: Planned) -> None:
    assert planned(ADD, more="contract: {stages: [retire: {after: 1h}, drop: {}]}\n") == {}


def test_a_stage_that_does_nothing_is_waited_in_when_it_has_gates(planned: Planned) -> None:
    assert planned(ADD, more="contract: {stages: [retire: {gates: [{soak: 1d}]}]}\n") == {"before retire": [SOAK]}
