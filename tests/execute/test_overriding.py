"""A gate is passed by an override of people who may, for a reason, at that one point of that plan; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.issuer import Issuer
from tests.scene import Scene

from crossfade.errors import CrossfadeError
from crossfade.execute import StepRefused
from crossfade.execute.overriding import gate_to_override
from crossfade.execute.status import read_status
from crossfade.gates import GateError
from crossfade.ledger import GateRecord

# The superuser that tests log in as is a member of itself; `{me}` stands for it.
ADD = "changes: [{{add_column: {{table: items, column: extra, type: text}}}}]\n"
SOAKED = ADD + "gates: {{validate: {{before: [{{soak: 7d}}], after: [{{soak: 7d}}]}}}}\noverride: {{from: {me}}}\n"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, n text); INSERT INTO items VALUES (1, '1')")
    return scene


def start(scene: Scene, body: str) -> str:
    """Go on until a gate waits; gives the digest of the plan."""
    scene.spec(body.format(me=scene.one("SELECT session_user::text")))
    scene.up()
    record = scene.ledger().migration("m")
    assert record is not None
    return record.plan_digest


def override(scene: Scene, gate: str, point: str, plan: str, reason: str = "no traffic at night") -> None:
    scene.ledger().approve("m", team=None, plan_digest=plan, reason=reason, overrides=(point, gate))


def answer(scene: Scene, point: str) -> GateRecord:
    (found,) = [gate for gate in scene.ledger().gates("m") if gate.point == point]
    return found


def test_an_overridden_gate_holds_and_says_who_overrode_it_and_why(items: Scene) -> None:
    plan = start(items, SOAKED)
    override(items, "soak 7d", "before validate", plan)

    outcome = items.up()

    me = items.one("SELECT session_user::text")
    passed = answer(items, "before validate")
    assert (passed.state, passed.reason) == ("holds", f"overridden by {me}: no traffic at night")
    assert passed.evidence["instead_of"]["state"] == "waits"
    assert [waiting.point for waiting in outcome.waiting] == ["after validate"]


def test_it_is_in_the_audit_with_gate_point_reason_and_who(items: Scene) -> None:
    plan = start(items, SOAKED)
    override(items, "soak 7d", "before validate", plan)
    items.up()

    events = {event.kind: event.body for event in items.ledger().events("m")}

    me = items.one("SELECT session_user::text")
    approved, overridden = events["override approved"], events["gate overridden"]
    assert [approved[key] for key in ("gate", "point", "reason", "role")] == [
        "soak 7d",
        "before validate",
        "no traffic at night",
        me,
    ]
    assert (overridden["gate"], overridden["point"]) == ("soak 7d", "before validate")
    assert (overridden["evidence"]["overridden_by"], overridden["evidence"]["because"]) == (
        [me],
        ["no traffic at night"],
    )


def test_it_is_in_the_audit_too_when_the_gate_held_by_itself_before(items: Scene) -> None:
    items.sql("CREATE TABLE door AS SELECT true AS is_open, false AS other")
    doors = '[{{sql: "SELECT is_open FROM door", title: a}}, {{sql: "SELECT other FROM door", title: b}}]'
    plan = start(items, ADD + f"gates: {{{{validate: {{{{before: {doors}}}}}}}}}\noverride: {{{{from: {{me}}}}}}\n")
    items.sql("UPDATE door SET is_open = false, other = true")
    override(items, "sql a", "before validate", plan)

    items.up()

    told = "SELECT kind FROM crossfade.event WHERE body ->> 'gate' = 'sql a' ORDER BY seq"
    assert [kind for (kind,) in items.sql(told)] == ["gate holds", "override approved", "gate overridden"]


def test_status_tells_it_as_long_as_the_migration_goes_on(items: Scene) -> None:
    override(items, "soak 7d", "before validate", start(items, SOAKED))
    items.up()

    (status,) = read_status(items.project())

    assert [(gate.gate, gate.point) for gate in status.overridden] == [("soak 7d", "before validate")]
    assert [gate.point for gate in status.waiting] == ["after validate"]


def test_an_override_of_another_gate_point_or_plan_opens_nothing(items: Scene) -> None:
    plan = start(items, SOAKED)
    override(items, "soak 8d", "before validate", plan)
    override(items, "soak 7d", "after validate", plan)
    override(items, "soak 7d", "before validate", "another plan")

    assert [waiting.point for waiting in items.up().waiting] == ["before validate"]


def test_an_approval_of_the_plan_overrides_nothing_and_an_override_approves_nothing(items: Scene) -> None:
    both = "gates: {{validate: {{before: [{{soak: 7d}}, {{approval: {{}}}}]}}}}\noverride: {{from: {me}}}\n"
    plan = start(items, ADD + both)
    items.ledger().approve("m", team=None, plan_digest=plan, reason="looks good")

    assert [waiting.label for waiting in items.up().waiting] == ["soak 7d"]

    items.sql("ALTER TABLE crossfade.approval DISABLE TRIGGER ALL; DELETE FROM crossfade.approval")
    items.sql("ALTER TABLE crossfade.approval ENABLE TRIGGER ALL")
    override(items, "soak 7d", "before validate", plan)
    assert [waiting.label for waiting in items.up().waiting] == ["approval"]


@pytest.mark.parametrize("said", ["", "override: {{from: nobody_here}}\n", "override: {{from: {me}, count: 2}}\n"])
def test_without_enough_people_who_may_nothing_is_overridden(items: Scene, said: str) -> None:
    plan = start(items, SOAKED.replace("override: {{from: {me}}}\n", said))
    override(items, "soak 7d", "before validate", plan)

    assert [waiting.label for waiting in items.up().waiting] == ["soak 7d"]


def test_with_four_eyes_who_started_the_migration_cannot_override(items: Scene) -> None:
    plan = start(items, SOAKED.replace("{me}}}", "{me}, four_eyes: true}}"))
    override(items, "soak 7d", "before validate", plan)

    assert [waiting.label for waiting in items.up().waiting] == ["soak 7d"]


def test_the_project_says_who_may_where_the_spec_does_not(items: Scene) -> None:
    me = items.one("SELECT session_user::text")
    (items.root / "crossfade.yaml").write_text(f"override: {{from: {me}}}\n")
    plan = start(items, SOAKED.replace("override: {{from: {me}}}\n", ""))
    override(items, "soak 7d", "before validate", plan)

    assert [waiting.point for waiting in items.up().waiting] == ["after validate"]


def test_what_the_spec_says_stands_above_the_project(items: Scene) -> None:
    me = items.one("SELECT session_user::text")
    (items.root / "crossfade.yaml").write_text(f"override: {{from: {me}}}\n")
    plan = start(items, SOAKED.replace("from: {me}", "from: nobody_here"))
    override(items, "soak 7d", "before validate", plan)

    assert [waiting.point for waiting in items.up().waiting] == ["before validate"]


def test_a_group_of_an_issuer_may_override_by_its_tokens(items: Scene) -> None:
    issuer = Issuer()
    issuer.jwks = "file:keys.json"
    (items.root / "keys.json").write_text(issuer.keys)
    (items.root / "crossfade.yaml").write_text(issuer.trusted("override: {from: 'ci:release'}"))
    plan = start(items, SOAKED.replace("override: {{from: {me}}}\n", ""))
    for name, group in (("eve", "staging"), ("ada", "release")):
        token = issuer.token(name, environment=group)
        point = ("before validate", "soak 7d")
        items.ledger().approve("m", team=None, plan_digest=plan, reason=name, overrides=point, token=token)

    items.up()

    assert answer(items, "before validate").reason == "overridden by ada (ci): ada"


def test_a_gate_that_holds_by_itself_says_so_and_not_that_it_was_overridden(items: Scene) -> None:
    plan = start(items, SOAKED.replace("before: [{{soak: 7d}}]", "before: [{{soak: 1ms}}, {{soak: 7d}}]"))
    override(items, "soak 1ms", "before validate", plan)

    items.up()

    reasons = {gate.gate: gate.reason for gate in items.ledger().gates("m")}
    assert reasons["soak 1ms"] == "1ms have passed"


def test_a_gate_that_reads_many_rows_is_not_asked_when_it_is_overridden(items: Scene) -> None:
    broken = (
        ADD + "gates: {{validate: {{before: [{{sql: SELECT count(*) > 1 / (n::int - 1) FROM items GROUP BY n}}]}}}}\n"
    )
    items.spec((broken + "override: {{from: {me}}}\n").format(me=items.one("SELECT session_user::text")))
    with pytest.raises(GateError):
        items.up()
    record = items.ledger().migration("m")
    assert record is not None
    label = "sql SELECT count(*) > 1 / (n::int - 1) FROM items GROUP BY n"
    override(items, label, "before validate", record.plan_digest)

    items.up()

    assert answer(items, "before validate").evidence["instead_of"] == {"state": "not asked"}


def test_an_override_is_not_for_a_later_start_of_the_same_plan(items: Scene) -> None:
    plan = start(items, SOAKED)
    override(items, "soak 7d", "before validate", plan)
    items.rollback()

    again = start(items, SOAKED)

    assert again == plan
    assert [waiting.point for waiting in items.up().waiting] == ["before validate"]


def test_what_the_engine_makes_sure_of_itself_cannot_be_overridden(items: Scene) -> None:
    to_int = "changes: [{{change_column: {{table: items, column: n, to: {{type: int}}, up: n::int, down: n::text}}}}]\n"
    items.sql("INSERT INTO items VALUES (2, 'two')")
    items.spec((to_int + "override: {{from: {me}}}\n").format(me=items.one("SELECT session_user::text")))
    with pytest.raises(StepRefused):
        items.up()
    plan = items.runner().plan(items.migration())
    for step in plan.steps:
        for point in (f"before {step.leg}", f"after {step.leg}"):
            for label in (step.id, step.title, "unmapped rows", "conflicts"):
                override(items, label, point, plan.digest)

    with pytest.raises(StepRefused):
        items.up()

    with pytest.raises(CrossfadeError, match="what the engine itself makes sure of cannot"):
        gate_to_override(plan, "conflicts", None)


def test_an_override_by_a_group_that_no_issuer_has_is_refused_when_planning(items: Scene) -> None:
    items.spec((ADD + "override: {{from: 'github:release'}}\n").format())

    with pytest.raises(CrossfadeError, match=r"m\.yaml:6:18: .*which crossfade\.yaml does not name"):
        items.up()


def test_so_is_an_approval_by_one(items: Scene, tmp_path: Path) -> None:
    items.spec((ADD + "gates: {{expand: [{{approval: {{from: 'github:release'}}}}]}}\n").format())

    with pytest.raises(CrossfadeError, match=r"m\.yaml:6:19: .*which crossfade\.yaml does not name"):
        items.up()
