"""Whoever listens to a run, and the systems that the environment names beside him."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from crossfade.execute import Listener, Notice
from crossfade.spec import Project

_LOG = logging.getLogger(__name__)


def reported(project: Project, listen: Listener) -> Listener:
    """`listen`, and each system that is configured by its own standard variables.

    A system that does not answer is left out from then on: a migration never fails, or waits, for one.
    """
    systems = [*_configured(project)]
    if not systems:
        return listen

    def hear(notice: Notice) -> None:
        listen(notice)
        for system in [*systems]:
            try:
                system(notice)
            except Exception as error:  # whatever a library of theirs raises
                systems.remove(system)
                _LOG.warning("%s is told nothing more in this run: %s", type(system).__name__, type(error).__name__)

    return hear


def _configured(project: Project) -> Iterator[Listener]:
    for make in (_lineage, _traces):
        try:
            yield from make(project)
        except Exception as error:  # its text may hold an address with a password
            _LOG.warning("%s is told nothing: %s in its configuration", make.__name__[1:], type(error).__name__)


# Their libraries take half a second to load: only where they are wanted.


def _lineage(project: Project) -> Iterator[Listener]:
    if _names_any("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE", off="OPENLINEAGE_DISABLED"):
        from crossfade.telemetry.lineage import OpenLineage

        yield OpenLineage(project)


def _traces(_project: Project) -> Iterator[Listener]:
    if _names_any(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        off="OTEL_SDK_DISABLED",
    ):
        from crossfade.telemetry.traces import OpenTelemetry

        yield OpenTelemetry()


def _names_any(*variables: str, off: str) -> bool:
    return os.environ.get(off, "").strip().lower() != "true" and any(os.environ.get(name) for name in variables)
