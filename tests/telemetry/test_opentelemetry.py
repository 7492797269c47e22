"""OpenTelemetry spans and metrics of a run, as a collector gets them."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.scene import Scene
from tests.telemetry.receiver import Receiver, receiving

from crossfade.execute import Outcome, Runner, StepRefused
from crossfade.execute.notice import ignore
from crossfade.telemetry import reported

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text);
INSERT INTO users SELECT i, 'Secret' || i FROM generate_series(1, 100) AS i"""
CHANGE = "changes:\n  - add_column: {table: users, column: mail, type: text, up: lower(email), down: {email: mail}}\n"
UNMAPPABLE = CHANGE.replace(
    "text, up: lower(email), down: {email: mail}", "int, up: email::int, down: {email: mail::text}"
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy with other tests it may take a while."""
    monkeypatch.setattr("crossfade.telemetry.traces._PATIENCE", 60_000)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Generator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


def up(scene: Scene, *, through: str | None = None) -> Outcome:
    project = scene.project()
    return Runner(project, reported(project, ignore)).advance(scene.migration(), through=through)


def spans(collector: Receiver) -> list[Span]:
    return [
        span
        for body in collector.bodies("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def numbers(span: Span) -> set[tuple[str, int]]:
    return {(pair.key, pair.value.int_value) for pair in span.attributes}


def metrics(collector: Receiver) -> dict[str, list[dict[str, str]]]:
    """By name, the attributes of each point."""
    return {
        metric.name: [
            {pair.key: pair.value.string_value for pair in point.attributes}
            for point in (metric.histogram.data_points or metric.sum.data_points or metric.gauge.data_points)
        ]
        for body in collector.bodies("/v1/metrics")
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_steps_are_spans_under_their_leg_and_legs_under_the_run(scene: Scene, collector: Receiver) -> None:
    scene.sql(SCHEMA)
    scene.spec(CHANGE)

    up(scene, through="backfill")

    found = spans(collector)
    by_id = {span.span_id: span for span in found}
    (fill,) = [span for span in found if ("crossfade.rows", 100) in numbers(span)]
    leg = by_id[fill.parent_span_id]
    assert (leg.name, by_id[leg.parent_span_id].name) == ("backfill", "run m")
    assert len({span.trace_id for span in found}) == 1


def test_lock_waits_durations_and_gates_are_metrics(scene: Scene, collector: Receiver) -> None:
    scene.sql(SCHEMA)
    scene.spec(CHANGE + "gates: {validate: {before: [{soak: 1d}]}}\n")

    assert up(scene).ended == "waiting"

    found = metrics(collector)
    assert {"crossfade.step.duration", "crossfade.lock.wait", "crossfade.lock.held"} <= set(found)
    assert {each["crossfade.leg"] for each in found["crossfade.step.duration"]} == {"expand", "backfill"}
    (gate,) = found["crossfade.gate.holds"]
    assert (gate["crossfade.gate"], gate["crossfade.point"]) == ("soak 1d", "before validate")


def test_a_run_that_is_refused_says_why_without_a_value(scene: Scene, collector: Receiver) -> None:
    scene.sql(SCHEMA)
    scene.spec(
        CHANGE.replace("text, up: lower(email), down: {email: mail}", "int, up: email::int, down: {email: mail::text}")
    )

    with pytest.raises(StepRefused):
        up(scene)

    (run,) = [span for span in spans(collector) if span.name == "run m"]
    assert run.status.code == Status.STATUS_CODE_ERROR
    assert "100 rows in conflict" in run.status.message
    assert not any(b"Secret" in body for _, body in collector.posted)


def test_the_run_belongs_to_the_trace_of_its_caller(
    scene: Scene, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.sql(SCHEMA)
    scene.spec(CHANGE)
    monkeypatch.setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

    up(scene, through="expand")

    (run,) = [span for span in spans(collector) if span.name == "run m"]
    assert (run.trace_id.hex(), run.parent_span_id.hex()) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
