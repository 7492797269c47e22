"""OpenTelemetry spans and metrics of a run: the run, its legs, its steps; lock waits, rows, gates.

Names follow https://opentelemetry.io/docs/specs/semconv/ where it has one; ours begin with `crossfade.`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from crossfade.execute import (
    GateAnswered,
    LegPassed,
    LegStarted,
    LegUndone,
    Notice,
    Progress,
    Retrying,
    RunEnded,
    RunStarted,
    StepFinished,
    StepStarted,
)
from crossfade.steps.step import AnyStep

_PATIENCE = 5_000  # milliseconds for what is still to be sent when a run ends


class OpenTelemetry:
    """A listener. Where it sends, and how often, is said by the SDK's own variables."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    def __call__(self, notice: Notice) -> None:
        match notice:
            case RunStarted():
                self._run = _Run(notice)
            case RunEnded() if self._run is not None:
                run, self._run = self._run, None
                run.end(notice)
            case _ if self._run is not None:
                self._run.hear(notice)
            case _:
                pass


class _Run:
    """Spans and metrics of one run; what sends them ends with it."""

    def __init__(self, started: RunStarted) -> None:
        named = Resource({SERVICE_NAME: "crossfade", SERVICE_VERSION: version("crossfade")})
        resource = named.merge(OTELResourceDetector().detect())
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._metrics = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter())], resource, shutdown_on_exit=False
        )
        self._tracer = self._traces.get_tracer("crossfade")
        meter = self._metrics.get_meter("crossfade")
        self._duration = meter.create_histogram("crossfade.step.duration", "s", "How long a step took.")
        self._lock_wait = meter.create_histogram("crossfade.lock.wait", "s", "How long a step waited for its locks.")
        self._lock_held = meter.create_histogram("crossfade.lock.held", "s", "How long a step held its locks.")
        self._attempts = meter.create_counter("crossfade.step.attempts", "{attempt}", "Attempts at steps.")
        self._rows = meter.create_gauge("crossfade.walk.rows", "{row}", "Rows that a walk has written.")
        self._batches = meter.create_gauge("crossfade.walk.batches", "{batch}", "Batches that a walk has written.")
        self._share = meter.create_gauge("crossfade.walk.share", "1", "How much of its table a walk has been over.")
        self._gate = meter.create_gauge("crossfade.gate.holds", "1", "1 while a gate holds, 0 while it does not.")
        self._plan = started.plan
        name = f"{'roll back' if started.back else 'run'} {started.plan.migration}"
        self._run = self._tracer.start_span(name, _callers(), attributes=self._of())
        self._leg: Span | None = None
        self._step: Span | None = None

    def hear(self, notice: Notice) -> None:
        match notice:
            case LegStarted():
                self._leg = self._under(self._run, notice.leg)
            case StepStarted():
                self._step = self._under(self._leg or self._run, notice.step.title, _of_step(notice.step))
            case Progress():
                self._measure(notice)
            case Retrying():
                if self._step is not None:
                    blockers = [str(blocker) for blocker in notice.blockers]
                    self._step.add_event("attempt failed", {"reason": notice.reason, "crossfade.blockers": blockers})
            case StepFinished():
                self._finished(notice)
            case GateAnswered():
                self._answered(notice)
            case LegPassed() | LegUndone():
                self._leg = _ended(self._leg)
            case _:
                pass

    def end(self, notice: RunEnded) -> None:
        for span in (self._step, self._leg, self._run):
            if span is not None and notice.failure is not None:
                span.set_status(StatusCode.ERROR, notice.failure.what)
        self._run.set_attribute("crossfade.ended", notice.ended or "stopped")
        for span in (self._step, self._leg, self._run):
            _ended(span)
        self._traces.force_flush(_PATIENCE)
        self._metrics.force_flush(_PATIENCE)
        self._traces.shutdown()
        self._metrics.shutdown(_PATIENCE)

    def _measure(self, notice: Progress) -> None:
        of = self._of(_of_step(notice.step))
        self._rows.set(notice.rows, of)
        self._batches.set(notice.batches, of)
        self._share.set(notice.share, of)

    def _finished(self, notice: StepFinished) -> None:
        of = self._of(_of_step(notice.step))
        self._duration.record(notice.seconds, of)
        self._attempts.add(notice.attempts, of)
        if notice.step.locks:
            self._lock_wait.record(notice.lock_wait, of)
            self._lock_held.record(notice.held, of)
        span, self._step = self._step, None
        if span is None:  # done before in this run's stead: told without having begun
            began = time.time_ns() - int(notice.seconds * 1e9)
            span = self._under(self._leg or self._run, notice.step.title, _of_step(notice.step), began)
        span.set_attributes(
            {
                "crossfade.rows": notice.rows,
                "crossfade.batches": notice.batches,
                "crossfade.attempts": notice.attempts,
                "crossfade.lock.wait": notice.lock_wait,
                "crossfade.lock.held": notice.held,
            }
        )
        span.end()

    def _answered(self, notice: GateAnswered) -> None:
        said = {"crossfade.point": notice.point, "crossfade.gate": notice.label}
        self._gate.set(int(notice.answer.state == "holds"), self._of(said))
        told = {**said, "state": notice.answer.state, "reason": notice.answer.reason}
        (self._leg or self._run).add_event("gate answered", told)

    def _under(
        self, parent: Span, name: str, attributes: Mapping[str, str] | None = None, began: int | None = None
    ) -> Span:
        """began: nanoseconds since 1970; now without it."""
        context = trace.set_span_in_context(parent)
        return self._tracer.start_span(name, context, attributes=self._of(attributes), start_time=began)

    def _of(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"crossfade.migration": self._plan.migration, **(more or {})}


def _of_step(step: AnyStep) -> dict[str, str]:
    return {"db.system.name": "postgresql", "crossfade.database": step.database, "crossfade.leg": str(step.leg)}


def _callers() -> Context | None:
    """The trace that a CI job or another tool began, as it hands it on."""
    carrier = {name.lower(): os.environ[name] for name in ("TRACEPARENT", "TRACESTATE") if name in os.environ}
    return TraceContextTextMapPropagator().extract(carrier) if carrier else None


def _ended(span: Span | None) -> None:
    if span is not None:
        span.end()
