"""People are told of failed runs and of migrations that take long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from dagster import DagsterEventType, build_run_status_sensor_context, build_sensor_context
from dagster._core.definitions.sensor_definition import SensorExecutionData
from tests.orchestrate.orchestra import FILL, Orchestra, Played
from tests.orchestrate.receiver import Receiver, receiving

from crossfade.ledger import lease

TOO_LONG = "changes: [{add_constraint: {table: items, name: short, check: length(name) < 3}}]\n"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("CROSSFADE_ALERTS", receiver.address)
        yield receiver


def tell_of_failure(orchestra: Orchestra, played: Played) -> object:
    """What the daemon does after a failed run."""
    sensor = orchestra.definitions().resolve_sensor_def("alert_of_failed_runs")
    (entry,) = orchestra.instance.all_logs(played.result.run_id, of_type=DagsterEventType.RUN_FAILURE)
    run = orchestra.instance.get_run_by_id(played.result.run_id)
    assert run is not None
    assert entry.dagster_event is not None
    context = build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_instance=orchestra.instance, dagster_run=run, dagster_event=entry.dagster_event
    )
    return sensor(context)


def tell_of_slow(orchestra: Orchestra, cursor: str | None = None) -> SensorExecutionData:
    definitions = orchestra.definitions()
    context = build_sensor_context(instance=orchestra.instance, definitions=definitions, cursor=cursor)
    return definitions.resolve_sensor_def("alert_of_slow_migrations").evaluate_tick(context)


def test_a_failed_run_is_told_with_its_reason(orchestra: Orchestra, receiver: Receiver) -> None:
    orchestra.scene.spec(TOO_LONG)
    played = orchestra.materialize()

    tell_of_failure(orchestra, played)

    ((title, body),) = receiver.messages
    assert title == "m: a run failed"
    assert "3 rows" in body
    assert f"Dagster run {played.result.run_id[:8]}" in body
    assert "Traceback" not in body


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
    played = orchestra.materialize()

    with pytest.raises(Exception, match="1 of 1 addresses") as failed:
        tell_of_failure(orchestra, played)

    assert "S3cret" not in f"{failed.value} {failed.value.__cause__}"


def test_without_an_address_the_sensors_say_so(orchestra: Orchestra) -> None:
    orchestra.scene.spec(TOO_LONG)

    told = tell_of_failure(orchestra, orchestra.materialize())

    assert "CROSSFADE_ALERTS is not set" in str(told)
    assert "CROSSFADE_ALERTS is not set" in (tell_of_slow(orchestra).skip_message or "")


def test_drift_is_told(orchestra: Orchestra, receiver: Receiver) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up()
    orchestra.scene.sql("CREATE INDEX by_hand ON items (name)")

    tell_of_failure(orchestra, orchestra.run_job("find_drift"))

    ((title, body),) = receiver.messages
    assert title == "drift: a run failed"
    assert "index by_hand on public.items: was created" in body
