"""Which checks there are, and on which assets."""

from __future__ import annotations

import pytest
from tests.orchestrate.orchestra import SWAP
from tests.scene import Scene

from crossfade.orchestrate.gate_sets import gate_sets
from crossfade.orchestrate.legs import possible_legs

SOAK = "[{soak: 1d}]"
APPROVAL = "[{approval: {count: 1}}]"


def shown(scene: Scene) -> list[str]:
    migration = scene.migration()
    return [f"{gates.shown_on}.{gates.name}" for gates in gate_sets(migration, possible_legs(migration))]


@pytest.mark.parametrize(
    ("more", "checks"),
    [
        ("", []),
        (f"gates: {{expand: {APPROVAL}}}\n", ["expand.may_expand"]),
        (f"gates: {{expand: {{after: {APPROVAL}}}}}\n", ["expand.expand_gates"]),
        (f"gates: {{backfill: {SOAK}, validate: {SOAK}}}\n", ["backfill.backfill_gates", "validate.validate_gates"]),
        (f"gates: {{validate: {{before: {SOAK}}}}}\n", ["backfill.may_validate"]),
        (f"gates: {{contract: {SOAK}}}\n", ["validate.may_contract"]),
        (f"gates: {{contract: {{after: {SOAK}}}}}\n", ["drop.contract_gates"]),
        ("contract: {stages: [{retire: }, {archive: {after: 7d}}]}\n", ["retire.may_archive"]),
        (f"contract: {{stages: [{{drop: {{gates: {SOAK}}}}}]}}\n", ["archive.may_drop"]),
        (f"contract: {{stages: [{{drop: {{gates: {{after: {SOAK}}}}}}}]}}\n", ["drop.drop_gates"]),
        (
            'contract: {window: {days: mon-fri, hours: "09:00-17:00", timezone: UTC}}\n',
            ["validate.may_contract", "cutover.may_retire", "retire.may_archive", "archive.may_drop"],
        ),
    ],
)
def test_each_set_of_gates_is_one_check(scene: Scene, more: str, checks: list[str]) -> None:
    scene.spec(SWAP + more)

    assert shown(scene) == checks


def test_gates_of_contract_stand_where_the_plan_enters_it(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text)")
    scene.spec("changes: [{rename_column: {table: items, from: name, to: title}}]\n" + f"gates: {{contract: {SOAK}}}\n")
    plan = scene.runner().plan(scene.migration())

    (gates,) = gate_sets(scene.migration(), possible_legs(scene.migration()))

    assert gates.point_in(plan) == "before retire"
