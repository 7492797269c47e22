"""What a person does to a migration from Dagster's launchpad: pause it, let it go on, take it back.

Approving is not among them: an approval is worth the role that gives it, and here everybody acts as Dagster's.
No postponed annotations here: Dagster reads those of the ops.
"""

from collections.abc import Callable

from dagster import AssetObservation, Config, GraphDefinition, JobDefinition, OpDefinition, OpExecutionContext, op
from pydantic import Field

from crossfade.execute import LegUndone, Notice, Runner
from crossfade.execute import pause as pause_everywhere
from crossfade.execute import resume as resume_everywhere
from crossfade.orchestrate.keys import MIGRATION_TAG, holder_of, leg_key
from crossfade.orchestrate.legs import possible_legs
from crossfade.orchestrate.refusals import Patience, told_in_words
from crossfade.spec import Project
from crossfade.telemetry import reported


class Chosen(Config):
    """Which migration, and why: the reason goes into the events of its ledgers."""

    migration: str = Field(description="The id of the migration.")
    reason: str = Field(description="Why, for whoever reads the events later.")


class Back(Chosen):
    """How far a migration is taken back."""

    to: str | None = Field(default=None, description="The phase or stage that stays; nothing stays without it.")


def operations(project: Project, patience: Patience) -> list[JobDefinition]:
    """One job for each; the migration is in its config."""

    @op
    def pause(context: OpExecutionContext, config: Chosen) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            pause_everywhere(project, _chosen(context, config), _evidence(context, config))

    @op
    def resume(context: OpExecutionContext, config: Chosen) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            resume_everywhere(project, _chosen(context, config), _evidence(context, config))

    @op
    def roll_back(context: OpExecutionContext, config: Back) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            name = _chosen(context, config)
            told = reported(project, _tell_undone(context, project, name))
            runner = Runner(project, told, holder=holder_of(context.run_id))
            outcome = runner.rollback(name, to=config.to, evidence=_evidence(context, config))
            if outcome.ended == "paused":
                context.log.info(f"{name} was paused on its way back; run this job again to go on")

    return [
        _job(pause, "pause_migration", "Stops a migration after the batch or step at hand. What is done is kept."),
        _job(resume, "resume_migration", "Lets a paused migration go on."),
        _job(roll_back, "roll_back_migration", "Takes a migration back, newest leg first, in all its databases."),
    ]


def _job(operation: OpDefinition, name: str, description: str) -> JobDefinition:
    graph = GraphDefinition(name, node_defs=[operation], description=description)
    return graph.to_job()  # pyright: ignore[reportUnknownMemberType]  # Dagster leaves a type variable open


def _chosen(context: OpExecutionContext, config: Chosen) -> str:
    context.instance.add_run_tags(context.run_id, {MIGRATION_TAG: config.migration})
    return config.migration


def _evidence(context: OpExecutionContext, config: Chosen) -> dict[str, str]:
    return {"reason": config.reason, "Dagster run": context.run_id}


def _tell_undone(context: OpExecutionContext, project: Project, name: str) -> Callable[[Notice], None]:
    # Without its spec a migration has no assets.
    migrations = [migration for migration in project.migrations if migration.id == name]
    keys = {str(leg): leg_key(migration, leg) for migration in migrations for leg in possible_legs(migration)}

    def listen(notice: Notice) -> None:
        if isinstance(notice, LegUndone):
            context.log.info(f"{notice.leg} is undone")
            if notice.leg in keys:
                context.log_event(AssetObservation(keys[notice.leg], description="It was taken back."))

    return listen
