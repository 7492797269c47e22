"""People are told of failed runs and of migrations that take long."""

from __future__ import annotations

from collections.abc import Iterator

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

    tell_of_failure(orchestra, orchestra.run_job("find_drift", "compare"))

    ((title, body),) = receiver.messages
    assert title == "drift: a run failed"
    assert "index by_hand on public.items: was created" in body
