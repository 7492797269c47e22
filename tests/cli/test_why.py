"""crossfade why: each gate of the next leg with its answer, and what else is in the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cli.calls import Call
from tests.cli.specs import ADD, LOWER, users
from tests.scene import Scene

from crossfade.ledger import lease

NOW = datetime(2026, 12, 24, 12, tzinfo=UTC)
GATED = LOWER + "gates: {contract: [{soak: 7d}, {approval: {count: 1}}, {sql: select true, title: costly}]}\n"
NUMBERS = """
changes: [{change_column: {table: users, column: age, to: {type: int}, up: "age::int", down: "age::text"}}]
gates: {contract: [{approval: {count: 1}}]}
"""


def why(call: Call, *more: str) -> list[str]:
    result = call("why", "m", *more)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def facts(call: Call, *more: str) -> dict[str, Any]:
    return json.loads(call("why", "m", "--json", *more).stdout)


def test_each_gate_of_the_next_leg_is_told_with_its_answer(scene: Scene, call: Call) -> None:
    users(scene, GATED)
    scene.up()

    first, soak, approval, costly = why(call)

    assert first.startswith("m: waiting before cutover, since ")
    assert soak.startswith("  soak 7d waits: 7d of 7d are left; may hold at 20")
    assert approval.startswith("  approval waits: somebody has to approve: `crossfade approve m` (since ")
    assert costly == "  sql costly: not asked yet"


def test_a_gate_that_holds_is_told_too(scene: Scene, call: Call) -> None:
    users(scene, GATED)
    scene.up()
    call("approve", "m")

    before = {gate["gate"]: gate["state"] for gate in facts(call)["gates"]}
    after = {gate["gate"]: gate["state"] for gate in facts(call, "--ask")["gates"]}

    assert before == {"soak 7d": "waits", "approval": "waits", "sql costly": None}
    assert after == {"soak 7d": "waits", "approval": "holds", "sql costly": None}


def test_a_freeze_of_the_project_stands_among_the_gates(scene: Scene, call: Call) -> None:
    users(scene, GATED)
    scene.up()
    (scene.root / "crossfade.yaml").write_text("freezes: [{dates: 2026-12-21..2027-01-03}]\n")
    scene.set_clock(NOW)

    (freeze,) = (line for line in why(call, "--ask") if "freeze" in line)

    assert freeze.startswith("  freeze waits: frozen until Mon 2027-01-04 00:00 UTC")


def test_what_was_not_begun_says_what_it_comes_after(scene: Scene, call: Call) -> None:
    users(scene, f"after: [n]\n{LOWER}")
    scene.spec(ADD, id="n")

    assert why(call) == ["m: not started at expand", "  it waits for n to be complete"]


def test_a_pause_is_told_with_the_way_on(scene: Scene, call: Call) -> None:
    users(scene, GATED)
    scene.up()
    call("pause", "m")

    lines = why(call)

    assert lines[0].startswith("m: paused before cutover")
    assert lines[-1].endswith("to resume it: `crossfade resume m`")


def test_a_runner_elsewhere_is_named(scene: Scene, call: Call) -> None:
    users(scene, GATED)
    scene.up()
    lease.acquire(scene.ledger().connection, "m", "somebody@elsewhere")

    assert why(call)[-1] == "  somebody@elsewhere works on it"


def test_rows_in_conflict_and_a_refused_step_are_told(scene: Scene, call: Call) -> None:
    users(scene, NUMBERS)
    scene.sql("UPDATE users SET age = 'unknown' WHERE id = 7")
    call("up", "--yes")

    lines = why(call)

    assert "  1 rows in conflict in app: `crossfade conflicts m` lists them" in lines
    assert lines[-1].startswith("  1 rows in conflict")  # what the check found


@pytest.mark.parametrize(
    ("own", "project", "is_told"),
    [("", "", False), ("warn_after: 20d", "", True), ("", "20d", True), ("warn_after: 40d", "20d", False)],
)
def test_a_contract_that_waits_too_long_is_told(
    scene: Scene, call: Call, own: str, project: str, is_told: bool
) -> None:
    users(scene, GATED + (f"contract: {{{own}}}\n" if own else ""))
    (scene.root / "crossfade.yaml").write_text(f"contract: {{{f'warn_after: {project}' if project else ''}}}\n")
    scene.set_clock(NOW)
    scene.up()
    scene.set_clock(NOW + timedelta(days=30))

    overdue = [line for line in why(call) if line.startswith("  it waits too long: cutover could have begun 23 d")]

    assert bool(overdue) is is_told
    assert ("too long" in call("status").stdout) is is_told


def test_the_time_that_a_soak_takes_is_not_too_long(scene: Scene, call: Call) -> None:
    users(scene, GATED.replace("7d", "60d") + "contract: {warn_after: 20d}\n")
    scene.set_clock(NOW)
    scene.up()
    scene.set_clock(NOW + timedelta(days=70))
    assert not facts(call)["status"]["is_overdue"]

    scene.set_clock(NOW + timedelta(days=81))
    assert facts(call)["status"]["is_overdue"]


def test_a_migration_whose_spec_is_gone_is_explained_from_the_ledger(scene: Scene, call: Call) -> None:
    users(scene, GATED)
    scene.up()
    (scene.root / "migration_specs" / "m.yaml").unlink()

    lines = why(call)

    assert lines[0].startswith("m: waiting before cutover")
    assert lines[-1] == "  spec gone from migration_specs/"


def test_a_gate_that_could_not_be_asked_is_told_with_why(scene: Scene, call: Call) -> None:
    users(scene, ADD + "gates: {expand: [{sql: select true}, {deployed: {url: env:NOT_SET_HERE, at_least: 2.0.0}}]}\n")
    call("up", "--yes")

    assert why(call)[-1] == "  deployed env:NOT_SET_HERE 2.0.0: the environment variable NOT_SET_HERE is not set"


def test_what_nobody_knows_is_a_misuse(scene: Scene, call: Call) -> None:
    users(scene)

    result = call("why", "n")

    assert (result.exit_code, "there is no migration `n`" in result.stderr) == (2, True)
