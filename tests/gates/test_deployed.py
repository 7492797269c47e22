"""No old version of a service runs any more: by its live sessions, or by what it says over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError
from tests.gates.asking import Desk
from tests.gates.http import answering
from tests.scene import Scene

from crossfade.gates import GateError, GateUnanswered
from crossfade.gates.deployed import DeployedGate

Connect = Callable[..., None]
SERVICE = {"service": "profile-api", "at_least": "2.4.0"}
ENDPOINT = {"url": "env:VERSION_URL", "at_least": "2.4.0"}


def gate(**body: Any) -> DeployedGate:
    return DeployedGate.model_validate({"deployed": body})


@pytest.fixture
def connect(desk: Desk) -> Generator[Connect]:
    """Open sessions with these names."""
    with ExitStack() as opened:

        def sessions(*names: str) -> None:
            for name in names:
                opened.enter_context(psycopg.connect(desk.url, application_name=name))

        yield sessions


def test_it_holds_when_every_session_is_new_enough(desk: Desk, connect: Connect) -> None:
    connect("profile-api/2.4.0", "profile-api/v2.10.1 worker-3", "profile-api-batch/1.0", "other/0.1")

    answer = desk.ask(gate(**SERVICE))

    assert (answer.state, answer.reason) == ("holds", "profile-api: 1 of 2.4.0, 1 of 2.10.1")


def test_older_sessions_are_told_by_count_and_version(desk: Desk, connect: Connect) -> None:
    connect("profile-api/2.3.9", "profile-api/2.3.9", "profile-api/2.4.0rc1", "profile-api/2.4.1")

    answer = desk.ask(gate(**SERVICE))

    assert answer.state == "waits"
    assert answer.reason == "profile-api: 3 sessions are older than 2.4.0: 2 of 2.3.9, 1 of 2.4.0rc1"
    assert answer.evidence["versions"] == {"2.3.9": 2, "2.4.0rc1": 1, "2.4.1": 1}


def test_what_is_no_version_is_told_and_waited_for(desk: Desk, connect: Connect) -> None:
    connect("profile-api/2.4.0", "profile-api/a1b2c3", "profile-api")

    answer = desk.ask(gate(**SERVICE))

    assert answer.state == "waits"
    assert answer.reason == "profile-api: 2 sessions are without a version that can be read (`a1b2c3`)"


def test_sessions_of_other_roles_are_seen_without_any_right(desk: Desk, connect: Connect) -> None:
    connect("profile-api/2.3.0")
    blind = f"blind_{uuid.uuid4().hex[:8]}"
    desk.sql(f"CREATE ROLE {blind}")
    desk.database = replace(desk.database, role=blind)

    answer = desk.ask(gate(**SERVICE))
    desk.sql(f"DROP ROLE {blind}")

    assert answer.evidence["versions"] == {"2.3.0": 1}


@pytest.mark.parametrize(("allow_none", "state"), [(False, "waits"), (True, "holds")])
def test_no_session_at_all_proves_nothing_unless_the_spec_says_so(desk: Desk, allow_none: bool, state: str) -> None:
    answer = desk.ask(gate(**SERVICE, allow_none=allow_none))

    assert (answer.state, answer.reason) == (
        state,
        "no session in profile has the application_name `profile-api/VERSION`",
    )


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        ('{"version": "2.4.1"}', "holds", "VERSION_URL: 1 of 2.4.1"),
        ('{"version": "2.3"}', "waits", "VERSION_URL: 1 answer is older than 2.4.0: 1 of 2.3"),
        ('{"version": {"secret": 1}}', "waits", "VERSION_URL: 1 answer is without a version that can be read"),
        ('{"release": "2.4.1"}', "waits", "`$.version` gives nothing"),
    ],
)
def test_an_endpoint_tells_the_version(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, body: str, state: str, reason: str
) -> None:
    with answering(body) as url:
        monkeypatch.setenv("VERSION_URL", url)
        answer = desk.ask(gate(**ENDPOINT))

    assert (answer.state, answer.reason.removeprefix("env:")) == (state, reason)


def test_all_versions_that_a_path_finds_count(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering('{"instances": [{"version": "2.4.0"}, {"version": "2.3.0"}]}') as url:
        monkeypatch.setenv("VERSION_URL", url)
        answer = desk.ask(gate(**ENDPOINT, path="$.instances[*].version"))

    assert answer.reason == "env:VERSION_URL: 1 answer is older than 2.4.0: 1 of 2.3.0"


@pytest.mark.parametrize(
    ("body", "status", "kind", "said"),
    [
        ("{}", 503, GateUnanswered, "answers with status 503"),
        ("{}", 404, GateError, "answers with status 404"),
        ("<html>", 200, GateError, "does not answer with JSON"),
        ("1" * (2**20 + 1), 200, GateError, "more than 1 MB"),
    ],
)
def test_an_endpoint_that_tells_nothing_is_an_error_without_its_address(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, body: str, status: int, kind: type[GateError], said: str
) -> None:
    with answering(body, status) as url:
        monkeypatch.setenv("VERSION_URL", url)
        with pytest.raises(GateError, match=said) as refused:
            desk.ask(gate(**ENDPOINT))

    assert type(refused.value) is kind
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_endpoint_that_cannot_be_reached_is_asked_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering("{}") as url:
        monkeypatch.setenv("VERSION_URL", url)

    with pytest.raises(GateUnanswered, match="the endpoint env:VERSION_URL cannot be reached") as refused:
        desk.ask(gate(**ENDPOINT))

    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"at_least": "2.4"}, "one of `service` and `url`"),
        ({**SERVICE, "url": "env:X"}, "one of `service` and `url`"),
        ({**SERVICE, "path": "$.v"}, "`path` is of the answer of a `url`"),
        ({"service": "a", "at_least": "newest"}, "a version is written like 2.4.0"),
        ({**ENDPOINT, "path": "version"}, "no JSONPath"),
        ({"url": "ftp://host/x", "at_least": "1"}, "https://HOST/PATH"),
        ({"url": "https://me:secret@host/", "at_least": "1"}, "would stand in the repository"),
    ],
)
def test_what_could_not_be_asked_is_refused_when_it_is_read(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        gate(**body)


def test_labels_tell_what_is_asked_and_no_address() -> None:
    at = {"url": "https://profile.internal/v?token=hunter2", "at_least": "2"}

    assert [gate(**SERVICE).label, gate(**at).label] == ["deployed profile-api 2.4.0", "deployed profile.internal 2"]


def test_contract_waits_for_the_version_that_the_spec_says_does_without_the_old_shape(scene: Scene) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, email text)")
    scene.spec("""
changes: [{rename_column: {table: users, from: email, to: address}}]
applications: [{service: profile-api, reads_new: 2.4.0, without_old: 2.6.0}]
""")
    with psycopg.connect(scene.urls["app"], application_name="profile-api/2.4.1"):
        held = scene.up()
    with psycopg.connect(scene.urls["app"], application_name="profile-api/2.6.0"):
        gone_on = scene.up()

    assert (held.ended, [each.point for each in held.waiting]) == ("waiting", ["before retire"])
    assert "1 session is older than 2.6.0" in held.waiting[0].answer.reason
    assert gone_on.ended == "complete"
