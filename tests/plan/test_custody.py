"""Rows that must stay where they are, and old values of people: what a plan refuses of both."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.scene import Scene

from crossfade.catalog.model import Name
from crossfade.changes import Compiled, Mapped, Refused
from crossfade.errors import Position
from crossfade.plan import Plan
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.custody import refuse_leaving
from crossfade.report import plan_markdown
from crossfade.spec import Database

RENAME = "{rename_column: {table: users, from: email, to: address}}"
KEPT = "contract: {stages: [{archive: {keep: KEEP}}, {drop: }]}\n"
KEEPING = {
    "a column that goes": "{drop_column: {table: users, column: email}}",
    "a column that others replace": RENAME,
    "a table that goes": "{drop_table: {table: users}}",
    "values that are written over": "{update_rows: {table: users, set: {email: lower(email)}}}",
    "rows that go": "{delete_rows: {table: users, where: id < 0}}",
    "rows that are merged": "{deduplicate_rows: {table: users, by: [age], keep: [id]}}",
}


def plan(
    scene: Scene, change: str, more: str = "", personal: str = "{columns: [users.email], keep_at_most: 30d}"
) -> Plan:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, email text, age text)")
    (scene.root / "databases.yaml").write_text(f"app: {{url: env:APP_URL, personal: {personal}}}\n")
    scene.spec(f"changes: [{change}]\n{more}")
    return scene.runner().plan(scene.migration())


def refusal(scene: Scene, change: str, more: str = "") -> Refused:
    with pytest.raises(Refused) as caught:
        plan(scene, change, more)
    return caught.value


@pytest.mark.parametrize("change", KEEPING.values(), ids=list(KEEPING))
def test_old_values_of_people_are_kept_for_as_long_as_the_spec_says(scene: Scene, change: str) -> None:
    (problem,) = refusal(scene, change).problems

    assert "old values of users.email would be kept, and the spec does not say for how long" in problem.what
    assert "personal" in str(problem.why)


@pytest.mark.parametrize("change", KEEPING.values(), ids=list(KEEPING))
def test_and_then_they_may_be_kept_without_being_called_needless(scene: Scene, change: str) -> None:
    found = plan(scene, change, KEPT.replace("KEEP", "30d"))

    assert "never-asked" not in {hazard.code for hazard in found.hazards}


def test_no_longer_than_the_project_lets(scene: Scene) -> None:
    (problem,) = refusal(scene, RENAME, KEPT.replace("KEEP", "31d")).problems

    assert problem.what == "old values of users.email would be kept for 31d"
    assert "30d at most" in str(problem.why)
    assert problem.where is not None
    assert problem.where.line == 6


def test_what_is_not_kept_need_not_be_told(scene: Scene) -> None:
    assert plan(scene, RENAME, "contract: {stages: [{drop: }]}\n")


def test_other_columns_are_kept_as_ever(scene: Scene) -> None:
    assert plan(scene, "{drop_column: {table: users, column: age}}")


def test_a_personal_key_is_kept_with_the_values_of_its_row(scene: Scene) -> None:
    with pytest.raises(Refused, match=r"old values of users\.id would be kept"):
        plan(scene, "{drop_column: {table: users, column: age}}", personal="{columns: [users.id]}")


# --- rows that go elsewhere: of no kind of change yet but by what one would say of itself ------------

EU = Database("here", "env:X", Position(Path("databases.yaml")), environment="production", residency="eu")
SECRET = dataclasses.replace(EU, classification="confidential")


def carry(scene: Scene, here: Database, there: Database, gates: str = "{}") -> None:
    """Plan a change of `app` that is said to fill a column with rows of `here`."""
    scene.spec(f"changes: [{{drop_table: {{table: users}}}}]\ngates: {gates}\n")
    migration = scene.migration()
    made = Mapped(Name("public", "users"), "email", ("email",), "email", Name("public", "users"), "here")
    change = CompiledChange(migration.changes[0], "app", Compiled(maps=(made,)))
    refuse_leaving(migration, [change], {"app": dataclasses.replace(there, name="app"), "here": here}.get)


@pytest.mark.parametrize(
    ("here", "there", "said", "kind"),
    [
        (EU, {"residency": "us"}, "those must stay in eu, and app is in us", "leave_region"),
        (EU, {"residency": None}, "those must stay in eu, and app is where nobody knows", "leave_region"),
        (EU, {"environment": "test"}, "those are of production, and app is for test", "leave_production"),
        (EU, {"environment": None}, "of production, and app is for what nobody says", "leave_production"),
        (SECRET, {"classification": "internal"}, "are confidential, and app is for internal", "lose_classification"),
        (SECRET, {"classification": None}, "app is for what nothing is said of", "lose_classification"),
    ],
)
def test_rows_do_not_leave_without_an_approval_that_says_so(
    scene: Scene, here: Database, there: dict[str, Any], said: str, kind: str
) -> None:
    target = dataclasses.replace(here, **there)

    with pytest.raises(Refused) as caught:
        carry(scene, here, target)
    with pytest.raises(Refused):
        carry(scene, here, target, "{expand: [{approval: {}}]}")
    with pytest.raises(Refused):
        carry(scene, here, target, f"{{contract: [{{approval: {{lets: [{kind}]}}}}]}}")
    carry(scene, here, target, f"{{expand: [{{approval: {{lets: [{kind}]}}}}]}}")

    assert said in caught.value.what
    assert kind in str(caught.value.problems[0].fix)


@pytest.mark.parametrize("there", [EU, dataclasses.replace(SECRET, classification="restricted")])
def test_rows_go_where_they_may_stay(scene: Scene, there: Database) -> None:
    carry(scene, EU, there)


def test_of_what_nothing_is_said_rows_go_anywhere(scene: Scene) -> None:
    carry(scene, dataclasses.replace(EU, environment=None, residency=None), EU)


def test_the_gate_says_what_it_lets(scene: Scene) -> None:
    gates = "gates: {expand: [{approval: {from: dpo, lets: [leave_region, leave_production]}}]}\n"
    found = plan(scene, "{add_column: {table: users, column: seen, type: int}}", gates)

    assert "approval from dpo that rows leave region and leave production" in plan_markdown(found)
