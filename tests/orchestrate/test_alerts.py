"""People are told of failed runs and of migrations that take long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from dagster import build_sensor_context
from dagster._core.definitions.sensor_definition import SensorExecutionData
from tests.orchestrate.orchestra import FILL, Orchestra
from tests.orchestrate.receiver import Receiver, receiving

from crossfade.ledger import lease

TOO_LONG = "changes: [{add_constraint: {table: items, name: short, check: length(name) < 3}}]\n"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("CROSSFADE_ALERTS", receiver.address)
        yield receiver


def tell_of_failures(orchestra: Orchestra, cursor: str | None) -> SensorExecutionData:
    return _tick(orchestra, "alert_of_failed_runs", cursor)


def tell_of_slow(orchestra: Orchestra, cursor: str | None = None) -> SensorExecutionData:
    return _tick(orchestra, "alert_of_slow_migrations", cursor)


def _tick(orchestra: Orchestra, sensor: str, cursor: str | None) -> SensorExecutionData:
    definitions = orchestra.definitions()
    context = build_sensor_context(instance=orchestra.instance, definitions=definitions, cursor=cursor)
    return definitions.resolve_sensor_def(sensor).evaluate_tick(context)


def test_a_failed_run_is_told_once_with_its_reason(orchestra: Orchestra, receiver: Receiver) -> None:
    orchestra.scene.spec(TOO_LONG)
    before = tell_of_failures(orchestra, None).cursor
    played = orchestra.materialize()

    first = tell_of_failures(orchestra, before)
    second = tell_of_failures(orchestra, first.cursor)

    ((title, body),) = receiver.messages
    assert title == "m: a run failed"
    assert "3 rows" in body
    assert f"Dagster run {played.result.run_id[:8]} of m" in body
    assert "Traceback" not in body
    assert second.skip_message == "no run has failed"


def test_several_failed_runs_are_one_message(orchestra: Orchestra, receiver: Receiver) -> None:
    orchestra.scene.spec(TOO_LONG)
    before = tell_of_failures(orchestra, None).cursor
    runs = [orchestra.materialize().result.run_id[:8] for _ in range(2)]

    tell_of_failures(orchestra, before)

    ((title, body),) = receiver.messages
    assert title == "2 runs failed"
    assert [body.index(run) for run in runs] == sorted(body.index(run) for run in runs)


def test_an_address_that_is_new_is_told_of_what_fails_from_then_on(orchestra: Orchestra, receiver: Receiver) -> None:
    orchestra.scene.spec(TOO_LONG)
    orchestra.materialize()

    first = tell_of_failures(orchestra, None)
    assert receiver.messages == []
    orchestra.materialize()
    tell_of_failures(orchestra, first.cursor)

    assert [title for title, _ in receiver.messages] == ["m: a run failed"]


def test_a_failed_run_is_told_again_to_the_address_alone_that_did_not_take_it(
    orchestra: Orchestra, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.scene.spec(TOO_LONG)
    with receiving() as other:
        monkeypatch.setenv("CROSSFADE_ALERTS", f"{receiver.address} {other.address}")
        before = tell_of_failures(orchestra, None).cursor
        orchestra.materialize()

        other.status = 500
        first = tell_of_failures(orchestra, before)
        other.status = 200
        tell_of_failures(orchestra, first.cursor)

    assert (first.skip_message or "").startswith("1 addresses did not take it; they are tried again")
    assert (len(receiver.messages), len(other.messages)) == (1, 2)
    assert "S3cret" not in (first.cursor or "")


@pytest.mark.parametrize(("state", "after"), [("running", "7 hours"), ("waiting", "31 days")])
def test_a_migration_that_takes_long_is_told_once(
    orchestra: Orchestra, receiver: Receiver, state: str, after: str
) -> None:
    orchestra.scene.spec(FILL + "gates: {contract: [{soak: 90d}]}\n")
    orchestra.scene.up()
    orchestra.scene.sql(f"UPDATE crossfade.gate SET since = since - interval '{after}'")
    orchestra.scene.sql(f"UPDATE crossfade.leg SET passed_at = NULL, started_at = now() - interval '{after}'")
    with orchestra.scene.connect() as other:
        if state == "running":
            lease.acquire(other, "m", "ada@host pid 7")

        first = tell_of_slow(orchestra)
        second = tell_of_slow(orchestra, first.cursor)

    ((title, body),) = receiver.messages
    assert title == "migrations that take long"
    assert f"is {state}; that began {after.split()[0]}" in body
    assert second.skip_message == body


def wait_for_long(orchestra: Orchestra) -> None:
    """A migration that has waited at its gate for a month."""
    orchestra.scene.spec(FILL + "gates: {contract: [{soak: 90d}]}\n")
    orchestra.scene.up()
    orchestra.scene.sql("UPDATE crossfade.gate SET since = since - interval '31 days'")


def test_how_long_it_takes_goes_by_the_servers_clock(orchestra: Orchestra, receiver: Receiver) -> None:
    cursor: str | None = None
    began = datetime(2001, 2, 3, tzinfo=UTC)
    orchestra.scene.set_clock(began)
    orchestra.scene.spec(FILL + "gates: {contract: [{soak: 90d}]}\n")
    orchestra.scene.up()

    for days in (29, 31, 37, 38):
        orchestra.scene.set_clock(began + timedelta(days=days))
        cursor = tell_of_slow(orchestra, cursor).cursor

    assert [re.findall(r"that began (\d+) d", body) for _, body in receiver.messages] == [["31"], ["38"]]


def test_of_several_addresses_each_is_told_once(
    orchestra: Orchestra, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_long(orchestra)
    with receiving() as other:
        other.status = 500
        monkeypatch.setenv("CROSSFADE_ALERTS", f"{receiver.address} {other.address}")

        first = tell_of_slow(orchestra)
        with pytest.raises(Exception, match="1 of 2 addresses"):
            tell_of_slow(orchestra, first.cursor)
        other.status = 200
        third = tell_of_slow(orchestra, first.cursor)
        tell_of_slow(orchestra, third.cursor)

    assert (first.skip_message or "").startswith("1 addresses did not take it; they are tried again")
    assert (len(receiver.messages), len(other.messages)) == (1, 3)
    assert "S3cret" not in (first.cursor or "")


def test_slack_is_told_by_its_webhook(
    orchestra: Orchestra, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{receiver.port}/services"
    monkeypatch.setattr("apprise.plugins.slack.NotifySlack.webhook_url", address)
    monkeypatch.setenv("CROSSFADE_ALERTS", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#migrations")
    wait_for_long(orchestra)

    tell_of_slow(orchestra)

    ((path, sent),) = receiver.sent
    assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert sent["channel"] == "#migrations"
    assert "is waiting; that began 31 d" in sent["attachments"][0]["text"]


def test_a_migration_that_is_not_slow_is_not_told(orchestra: Orchestra, receiver: Receiver) -> None:
    orchestra.scene.spec(FILL + "gates: {contract: [{soak: 90d}]}\n")
    orchestra.scene.up()

    assert tell_of_slow(orchestra).skip_message == "no migration takes long"
    assert receiver.messages == []


def test_an_address_that_does_not_take_it_is_told_without_its_secret(orchestra: Orchestra, receiver: Receiver) -> None:
    receiver.status = 500
    orchestra.scene.spec(TOO_LONG)
    before = tell_of_failures(orchestra, None).cursor
    orchestra.materialize()

    with pytest.raises(Exception, match="1 of 1 addresses") as failed:
        tell_of_failures(orchestra, before)

    assert "S3cret" not in f"{failed.value} {failed.value.__cause__}"


def test_without_an_address_the_sensors_say_so(orchestra: Orchestra) -> None:
    orchestra.scene.spec(TOO_LONG)

    orchestra.materialize()

    assert "CROSSFADE_ALERTS is not set" in (tell_of_failures(orchestra, None).skip_message or "")
    assert "CROSSFADE_ALERTS is not set" in (tell_of_slow(orchestra).skip_message or "")


def test_drift_is_told(orchestra: Orchestra, receiver: Receiver) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up()
    orchestra.scene.sql("CREATE INDEX by_hand ON items (name)")

    before = tell_of_failures(orchestra, None).cursor

    orchestra.run_job("find_drift")
    tell_of_failures(orchestra, before)

    ((title, body),) = receiver.messages
    assert title == "drift: a run failed"
    assert "index by_hand on public.items: was created" in body
