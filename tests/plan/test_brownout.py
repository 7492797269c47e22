from __future__ import annotations

import pytest
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.plan import Plan

VERSIONS = (
    "changes: [{change_column: {table: users, column: email, to: {type: text}, up: lower(email), down: email,"
    " strategy: versions}}]\n"
)
RENAME = "changes: [{rename_column: {table: users, from: email, to: address}}]\n"


def plan(scene: Scene, contract: str, changes: str = RENAME, more: str = "") -> Plan:
    scene.sql(f"CREATE TABLE users (id int PRIMARY KEY, email text{more})")
    scene.spec(f"{changes}contract: {contract}\n")
    return scene.runner().plan(scene.migration())


def legs(found: Plan) -> list[str]:
    return [str(leg) for leg in found.legs if leg.phase == "contract"]


def test_it_stands_before_retire_where_the_spec_names_it(scene: Scene) -> None:
    found = plan(scene, "{stages: [{brownout: }, {retire: }]}")

    assert legs(found) == ["brownout", "retire"]


def test_it_is_left_out_where_the_spec_does_not(scene: Scene) -> None:
    assert legs(plan(scene, "{stages: [{retire: }]}")) == ["retire"]


def test_it_begins_in_the_quarter_of_an_hour_after_its_time_on_the_days_of_contracts_window(scene: Scene) -> None:
    window = "{days: mon-thu, timezone: Europe/Oslo}"
    found = plan(scene, f"{{window: {window}, stages: [{{brownout: {{at: '10:00', for: 2m}}}}, {{retire: }}]}}")

    first = found.gates_at("before brownout")[0]

    assert first.body == {
        "window": {"days": "mon-thu", "hours": "10:00-10:15", "timezone": "Europe/Oslo", "freeze": []}
    }


def test_a_time_just_before_midnight_runs_past_it(scene: Scene) -> None:
    found = plan(scene, "{stages: [{brownout: {at: '23:50', timezone: Asia/Tokyo}}, {retire: }]}")

    body = found.gates_at("before brownout")[0].body["window"]

    assert (body["hours"], body["timezone"]) == ("23:50-00:05", "Asia/Tokyo")


def test_behind_it_stands_the_gate_that_counts_what_failed(scene: Scene) -> None:
    found = plan(scene, "{stages: [{brownout: }, {retire: }]}")

    assert [gate.body for gate in found.gates_at("after brownout")] == [{"calm": 0}]


@pytest.mark.parametrize(
    ("changes", "more", "what", "why"),
    [
        (
            VERSIONS,
            "",
            "table public.users",
            "views",
        ),
        (
            "changes: [{split_table: {table: users, into: mails, columns: [email]}}]\n",
            "",
            "table public.users",
            "another table",
        ),
    ],
)
def test_a_plan_is_refused_where_retire_turns_more_than_names(
    scene: Scene, changes: str, more: str, what: str, why: str
) -> None:
    with pytest.raises(Refused) as refusal:
        plan(scene, "{stages: [{brownout: }, {retire: }, {drop: }]}", changes, more)

    (problem,) = refusal.value.problems
    assert problem.what == f"`brownout` cannot try what `retire` hides of {what}"
    assert why in (problem.why or "")
    assert "leave `brownout` out" in (problem.fix or "")
    assert problem.where is not None


def test_a_table_that_is_merged_into_another_is_not_tried(scene: Scene) -> None:
    scene.sql("CREATE TABLE former (id int PRIMARY KEY, email text)")

    with pytest.raises(Refused, match="cannot try what `retire` hides of merge_tables in line"):
        plan(
            scene,
            "{stages: [{brownout: }, {retire: }, {archive: {keep: 1d}}, {drop: }]}",
            "changes: [{merge_tables: {table: users, from: former}}]\n",
        )


def test_a_column_whose_names_swap_is_never_gone_so_nothing_is_hidden(scene: Scene) -> None:
    widen = "changes: [{widen_key: {table: orders, column: id}}]\n"
    scene.sql("CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    found = plan(scene, "{stages: [{brownout: }, {drop: }]}", widen)

    assert "`brownout` hides nothing" in " ".join(hazard.what for hazard in found.hazards)


def test_a_plan_says_where_it_would_hide_nothing(scene: Scene) -> None:
    change = "changes: [{create_index: {table: users, name: by_email, columns: [email]}}]\n"
    found = plan(scene, "{stages: [{brownout: }, {drop: }]}", change)

    assert "brownout" not in legs(found)
    assert "`brownout` hides nothing" in " ".join(hazard.what for hazard in found.hazards)
