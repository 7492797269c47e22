"""crossfade approve --oidc: as whom the token in the environment names."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.cli.calls import Call
from tests.cli.specs import ADD, users
from tests.issuer import Issuer, serving
from tests.scene import Scene

from crossfade.cli.failure import without_secrets

APPROVED = ADD + "gates: {validate: {before: [{approval: {from: 'ci:production'}}]}}\n"


@pytest.fixture
def issuer(scene: Scene) -> Generator[Issuer]:
    with serving(Issuer()) as issuer:
        (scene.root / "crossfade.yaml").write_text(issuer.trusted())
        yield issuer


@pytest.fixture
def waiting(scene: Scene, call: Call, issuer: Issuer) -> None:
    """A migration that waits for an approval."""
    users(scene, APPROVED)
    assert "a member of ci:production has to approve" in call("up", "--yes").stdout


@pytest.mark.usefixtures("waiting")
def test_the_token_of_the_environment_approves_as_whom_it_names(
    scene: Scene, call: Call, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token("ada", environment="production")
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", token + "\n")

    approved = call("approve", "m", "--oidc", "--team", "ci:production")
    gone_on = call("up", "--yes")
    log = call("audit", "log", "m", "--json")

    (record,) = scene.ledger().approvals("m")
    assert approved.stdout == f"ada (ci) approved plan {record.plan_digest} of m for ci:production\n"
    assert "approval from ci:production holds: approved by ada (ci)" in gone_on.stdout
    assert "m is complete" in gone_on.stdout
    for text in (approved.output, gone_on.output, log.output):
        assert not [part for part in token.split(".") if part in text]


@pytest.mark.usefixtures("waiting")
def test_a_token_that_would_not_count_is_refused_before_it_goes_anywhere(
    scene: Scene, call: Call, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = call("approve", "m", "--oidc")
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", issuer.token(aud="another-service"))
    another = call("approve", "m", "--oidc")
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", issuer.token(environment="staging"))
    outside = call("approve", "m", "--oidc", "--team", "ci:production")
    role = call("approve", "m", "--oidc", "--team", "pg_monitor")

    assert (unset.exit_code, another.exit_code, outside.exit_code, role.exit_code) == (2, 1, 1, 1)
    assert "the environment variable CROSSFADE_OIDC_TOKEN is not set" in unset.stderr
    assert "the token in CROSSFADE_OIDC_TOKEN does not count: it is for another audience" in another.stderr
    assert "ada (ci) is not of ci:production" in outside.stderr
    assert "ada (ci) is not a member of pg_monitor, which is a role of the database" in role.stderr
    assert scene.ledger().approvals("m") == ()


@pytest.mark.usefixtures("waiting")
def test_a_token_approves_once(call: Call, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", issuer.token())

    first, second = call("approve", "m", "--oidc"), call("approve", "m", "--oidc")

    assert (first.exit_code, second.exit_code) == (0, 1)
    assert "this token has approved already" in second.stderr


@pytest.mark.usefixtures("waiting")
def test_an_approval_as_a_role_does_not_count_for_a_group_and_is_refused(call: Call) -> None:
    refused = call("approve", "m", "--team", "ci:production")

    assert refused.exit_code == 1
    assert "a role of the database is not of ci:production" in refused.stderr


@pytest.mark.usefixtures("waiting")
def test_an_approval_expires_when_the_plan_changes(
    scene: Scene, call: Call, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", issuer.token(environment="production"))
    assert call("approve", "m", "--oidc").exit_code == 0
    call("rollback", "m", "--yes")
    scene.spec(APPROVED.replace("type: timestamptz", "type: date"))

    again = call("up", "m", "--yes")

    assert "a member of ci:production has to approve" in again.stdout
    assert "1 approval is for an older plan" in again.stdout


def test_the_token_at_the_start_says_who_began_it(
    scene: Scene, call: Call, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(scene, APPROVED.replace("'ci:production'", "'ci:production', four_eyes: true"))
    unset = call("up", "--yes", "--oidc")
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", issuer.token("ada"))

    assert (unset.exit_code, call("up", "--yes", "--oidc").exit_code) == (2, 0)
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", issuer.token("ada", environment="production"))
    assert call("approve", "m", "--oidc").exit_code == 0
    own = call("up", "--yes")
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", issuer.token("ben", environment="production"))
    assert call("approve", "m", "--oidc").exit_code == 0
    other = call("up", "--yes")

    starter = scene.ledger().started_by("m")
    assert starter is not None
    assert (starter.issuer, starter.identity) == ("ci", "ada")
    assert "1 approval is by who began it, and four eyes are wanted" in own.stdout
    assert "approved by ben (ci)" in other.stdout


@pytest.mark.usefixtures("waiting")
def test_an_approval_by_a_machine_or_by_nobody_knows_whom_is_refused(
    scene: Scene, call: Call, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = scene.one("SELECT session_user::text")
    (scene.root / "crossfade.yaml").write_text(issuer.trusted(f"machines: [{me}]", "people: {Ada: 'ci:ada'}"))
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", issuer.token("eve", environment="production"))

    machine, nobody = call("approve", "m"), call("approve", "m", "--oidc")

    assert (machine.exit_code, nobody.exit_code) == (1, 1)
    assert f"{me} is a machine, as crossfade.yaml says" in machine.stderr
    assert "crossfade.yaml does not say whose ci:eve is" in nobody.stderr
    assert scene.ledger().approvals("m") == ()


def test_the_token_is_left_out_of_crash_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    token = Issuer().token()
    monkeypatch.setenv("CROSSFADE_OIDC_TOKEN", token)

    assert without_secrets(f"before {token} after") == "before *** after"


def test_check_tells_what_is_wrong_in_approvals_yaml(scene: Scene, call: Call) -> None:
    users(scene, ADD)
    (scene.root / "crossfade.yaml").write_text("override: {form: release}\n")

    checked = call("check")

    assert checked.exit_code == 1
    assert "crossfade.yaml:1:12: unknown key `form` in `override`" in checked.stdout
    assert "did you mean `from`?" in checked.stdout
