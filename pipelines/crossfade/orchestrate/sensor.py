"""The sensor that lets started migrations go on: it requests the next leg when nothing holds it up any more."""

from __future__ import annotations

from dagster import AssetSelection, DefaultSensorStatus, SensorDefinition, SensorEvaluationContext, SensorResult

from crossfade.orchestrate.history import History
from crossfade.orchestrate.tick import Tick
from crossfade.spec import Project

EVERY = 30  # seconds


def advance_sensor(project: Project, history: History) -> SensorDefinition:
    """It runs unless it is switched off: it starts nothing, and what is started goes on as far as its gates allow."""

    def advance_migrations(context: SensorEvaluationContext) -> SensorResult:
        return Tick(project, history, context.instance, context.log).run(context.cursor)

    return SensorDefinition(
        name="advance_migrations",
        evaluation_fn=advance_migrations,
        description="Requests the next leg of each started migration when its gates hold. It never starts a migration:"
        " materialize its asset expand for that, or use the command line. Says on every tick what is waited for.",
        asset_selection=AssetSelection.all(),
        minimum_interval_seconds=EVERY,
        default_status=DefaultSensorStatus.RUNNING,
    )
