"""crossfade approve --override: one gate, with a reason, by who may."""

from __future__ import annotations

import json

import pytest
from tests.cli.calls import Call
from tests.cli.specs import ADD, users
from tests.scene import Scene

SOAKED = ADD + "gates: {validate: {before: [{soak: 7d}]}}\n"
WHY = ("--reason", "no traffic at night")


@pytest.fixture
def me(scene: Scene) -> str:
    return scene.one("SELECT session_user::text")


def test_an_override_opens_the_gate_and_status_says_by_whom_and_why(
    scene: Scene, call: Call, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(scene, SOAKED.replace("{before:", "{after: [{soak: 1d}], before:") + f"override: {{from: {me}}}\n")
    call("up", "--yes")

    approved = call("approve", "m", "--override", "soak 7d", *WHY)

    (record,) = scene.ledger().approvals("m")
    said = f"{me} approved an override of `soak 7d` before validate in plan {record.plan_digest} of m\n"
    assert approved.stdout == said
    overridden = f"soak 7d before validate: overridden by {me}: no traffic at night"
    assert f"soak 7d holds: overridden by {me}: no traffic at night" in call("up", "--yes").stdout
    monkeypatch.setenv("COLUMNS", "300")
    assert overridden in call("status").stdout
    (status,) = json.loads(call("status", "--json").stdout)
    assert [gate["reason"] for gate in status["overridden"]] == [f"overridden by {me}: no traffic at night"]


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("--override", "soak 7d"), "an override needs a reason", 2),
        (("--override", "soak 7d", "--reason", " "), "an override needs a reason", 2),
        (("--override", "soak 6d", *WHY), "did you mean `soak 7d`?", 2),
        (("--override", "soak 7d", "--at", "before drop", *WHY), "it stands before validate", 2),
        (("--at", "before validate"), "--at says where a gate stands that is overridden", 2),
        (("--override", "soak 7d", *WHY), "nobody may override a gate of m", 1),
    ],
    ids=str,
)
def test_an_override_that_would_not_count_is_refused_with_what_to_do(
    scene: Scene, call: Call, arguments: tuple[str, ...], words: str, code: int
) -> None:
    users(scene, SOAKED)
    call("up", "--yes")

    refused = call("approve", "m", *arguments)

    assert refused.exit_code == code
    assert words in refused.stderr
    assert scene.ledger().approvals("m") == ()


def test_who_may_not_override_is_told(scene: Scene, call: Call) -> None:
    users(scene, SOAKED + "override: {from: pg_monitor}\n")
    call("up", "--yes")

    refused = call("approve", "m", "--override", "soak 7d", *WHY)

    assert refused.exit_code == 1
    assert "is not a member of pg_monitor" in refused.stderr


def test_a_gate_that_stands_at_two_points_is_named_with_its_point(scene: Scene, call: Call, me: str) -> None:
    two = SOAKED.replace("{before:", "{after: [{soak: 7d}], before:") + f"override: {{from: {me}}}\n"
    users(scene, two)
    call("up", "--yes")

    unclear = call("approve", "m", "--override", "soak 7d", *WHY)
    clear = call("approve", "m", "--override", "soak 7d", "--at", "after validate", *WHY)

    assert (unclear.exit_code, clear.exit_code) == (2, 0)
    assert '--at "before validate"' in unclear.stderr
    assert [approval.point for approval in scene.ledger().approvals("m")] == ["after validate"]
