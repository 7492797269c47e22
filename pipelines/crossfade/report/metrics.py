"""Where migrations stand, as a page that Prometheus reads. It is asked of the ledgers at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crossfade.execute.status import MigrationStatus

Read = Callable[[], tuple[MigrationStatus, ...]]


class StatusCollector(Collector):
    """read: asks where every migration stands."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        found = self._read()
        yield _family(
            "crossfade_migration_state",
            "1 for the state that a migration is in.",
            ("migration", "database", "owner", "state", "leg"),
            (((m.id, m.databases[0], m.owner or "", m.state, m.leg or ""), 1.0) for m in found),
        )
        yield _family(
            "crossfade_migration_state_since_timestamp_seconds",
            "When the state began.",
            ("migration",),
            (((m.id,), _seconds(m.since)) for m in found if m.since is not None),
        )
        yield _family(
            "crossfade_migration_progress_ratio",
            "How much of its table the walk at hand has been over.",
            ("migration",),
            (((m.id,), m.progress) for m in found if m.progress is not None),
        )
        yield _family(
            "crossfade_migration_needs_attention",
            "1 for a migration that a person must look at.",
            ("migration",),
            (((m.id,), 1.0) for m in found if m.problem is not None),
        )
        yield _family(
            "crossfade_gate_waits_since_timestamp_seconds",
            "Since when a gate does not hold.",
            ("migration", "point", "gate"),
            (((m.id, gate.point, gate.gate), _seconds(gate.since)) for m in found for gate in m.waiting),
        )
        yield _family(
            "crossfade_archive_kept_until_timestamp_seconds",
            "Until when old values are kept aside, the earliest.",
            ("migration",),
            (((m.id,), _seconds(m.kept_until)) for m in found if m.kept_until is not None),
        )

    def describe(self) -> Iterable[Metric]:
        return ()  # or registering would ask the databases


def status_registry(read: Read) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StatusCollector(read))
    return registry


def _family(
    name: str, what: str, labels: tuple[str, ...], points: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=labels)
    for values, value in points:
        family.add_metric(values, value)  # pyright: ignore[reportUnknownMemberType]
    return family


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
