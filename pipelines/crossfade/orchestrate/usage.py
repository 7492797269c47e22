"""The sensor that samples the statistics of statements, for gates that ask whether a column is still used."""

from __future__ import annotations

from dagster import AssetSelection, DefaultSensorStatus, SensorDefinition, SensorEvaluationContext, SkipReason

from crossfade.execute.sampling import Sampling, sample, watched
from crossfade.spec import Project

EVERY = 30  # seconds


def usage_sensors(project: Project) -> list[SensorDefinition]:
    """One, where a gate asks for what it collects. It requests no run: a sample takes a tenth of a second."""
    databases = watched(project)
    if not databases:
        return []

    def sample_usage(context: SensorEvaluationContext) -> SkipReason:
        done = sample(databases)
        for each in done:
            for problem in each.problems:
                context.log.warning(str(problem))
        return SkipReason("; ".join(map(_said, done)))

    made = SensorDefinition(
        name="sample_usage",
        evaluation_fn=sample_usage,
        description="Samples pg_stat_statements of the databases that a gate `unused` asks about, and of their"
        " replicas, into the ledgers.",
        asset_selection=AssetSelection.all(),
        minimum_interval_seconds=EVERY,
        default_status=DefaultSensorStatus.RUNNING,
    )
    return [made]


def _said(sampling: Sampling) -> str:
    nodes = [f"{node.node}: {node.called} of {node.statements} statements called" for node in sampling.sampled]
    return f"{sampling.database}: {', '.join([*nodes, *(problem.what for problem in sampling.problems)])}"
