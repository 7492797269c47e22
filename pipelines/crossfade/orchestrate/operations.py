"""What a person does from Dagster's launchpad: advance a migration, approve, pause, resume, take back, purge.

No postponed annotations here: Dagster reads those of the ops.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dagster import (
    AssetMaterialization,
    Config,
    ConfigMapping,
    GraphDefinition,
    JobDefinition,
    MetadataValue,
    OpDefinition,
    OpExecutionContext,
    ScheduleDefinition,
    op,
)
from pydantic import Field

from crossfade.execute import Blocked, LegUndone, Notice, Runner
from crossfade.execute import pause as pause_everywhere
from crossfade.execute import resume as resume_everywhere
from crossfade.execute.approving import approve as approve_plan
from crossfade.execute.purge import expired
from crossfade.execute.purge import purge as purge_expired
from crossfade.orchestrate.catch_up import no_longer_passed
from crossfade.orchestrate.keys import MIGRATION_TAG, holder_of, is_tried_by_itself, leg_key
from crossfade.orchestrate.legs import possible_legs
from crossfade.orchestrate.listen import Ear
from crossfade.orchestrate.refusals import Patience, told_in_words
from crossfade.orchestrate.standing import read_standing
from crossfade.spec import Migration, Project
from crossfade.steps.step import EXPAND
from crossfade.telemetry import reported

PURGE = "purge_old_values"


class Chosen(Config):
    """Which migration, and why: the reason goes into the events of its ledgers."""

    migration: str = Field(description="The id of the migration, as its spec has it.")
    reason: str = Field(description="Why, for whoever reads the events later.")


class Back(Chosen):
    """How far a migration is taken back."""

    to: str | None = Field(default=None, description="The phase or stage that stays; without it all is taken back.")


class Onward(Chosen):
    """How far a migration is taken."""

    through: str | None = Field(
        default=None, description="The last phase or stage; without it as far as the gates allow."
    )


class Approval(Chosen):
    """What is approved: the plan, or that one gate of it is opened."""

    team: str | None = Field(default=None, description="Approve for this team, a role of the database.")
    override: str | None = Field(default=None, description="Open a gate instead; its name as its check shows it.")
    at: str | None = Field(default=None, description="The point of the gate in `override`, if it stands at several.")


class Old(Config):
    """Whose old values are dropped. Nothing brings them back."""

    migration: str | None = Field(default=None, description="The id of the migration; without it all of them.")


def operations(project: Project, patience: Patience) -> list[JobDefinition]:
    """One job for each; the migration is in its config."""

    @op
    def advance(context: OpExecutionContext, config: Onward) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            migration = _specified(project, _chosen(context, config))
            _refuse_when_taken_back(context, project, migration)
            runner = Runner(project, reported(project, Ear(context.log)), holder=holder_of(context.run_id))
            outcome = runner.advance(migration, through=config.through)
            for leg in outcome.passed:
                note = MetadataValue.text(f"It passed in run {context.run_id[:8]} of advance_migration.")
                key = leg_key(migration, runner.plan(migration).leg(leg) or EXPAND)
                context.log_event(AssetMaterialization(key, metadata={"note": note, "reason": config.reason}))
            for waiting in outcome.waiting:
                context.log.info(f"{waiting.point}: {waiting.label}: {waiting.answer.reason}")
            context.log.info(f"{migration.id}: {outcome.ended}")

    @op
    def approve(context: OpExecutionContext, config: Approval) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            migration = _specified(project, _chosen(context, config))
            said = approve_plan(
                project, migration, team=config.team, override=config.override, at=config.at, reason=config.reason
            )
            context.log.info(str(said))

    @op
    def purge(context: OpExecutionContext, config: Old) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            found = expired(project, config.migration)
            for each in purge_expired(project, found, holder_of(context.run_id), Ear(context.log)):
                context.log.info(f"dropped crossfade.{each.stored_in} of {each.migration}")
            context.log.info(f"old values whose time was over: {len(found)}")

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
            told = reported(project, _tell_undone(context, project, config))
            runner = Runner(project, told, holder=holder_of(context.run_id))
            outcome = runner.rollback(name, to=config.to, evidence=_evidence(context, config))
            if outcome.ended == "paused":
                context.log.info(f"{name} was paused on its way back; run this job again to go on")

    return [
        job_of(advance, "advance_migration", "Starts a migration, or goes on with it, as far as its gates allow."),
        job_of(
            approve,
            "approve_migration",
            "Approves the plan of a migration, or opens one gate of it, as the role with which Dagster logs in to its"
            " database. Whoever may launch runs here may do so.",
        ),
        job_of(pause, "pause_migration", "Stops a migration after the batch or step at hand. What is done is kept."),
        job_of(resume, "resume_migration", "Lets a paused migration go on."),
        job_of(roll_back, "roll_back_migration", "Takes a migration back, newest leg first, in all its databases."),
        job_of(purge, PURGE, "Drops old values of complete migrations that were kept for as long as their spec says."),
    ]


def purge_schedule() -> ScheduleDefinition:
    """Nightly; off until somebody switches it on, for what it drops is gone."""
    return ScheduleDefinition(
        "purge_nightly", job_name=PURGE, cron_schedule="30 3 * * *", description="Runs the job that purges."
    )


def _specified(project: Project, name: str) -> Migration:
    for migration in project.migrations:
        if migration.id == name:
            return migration
    raise Blocked(f"there is no migration {name}", fix="give the id that stands in its spec under `migration`")


def _refuse_when_taken_back(context: OpExecutionContext, project: Project, migration: Migration) -> None:
    """Whoever took it back while this waited for its turn has decided later."""
    if is_tried_by_itself(context.run, context.retry_number) and read_standing(project, migration).taken_back:
        raise Blocked(
            f"{migration.id} was taken back while this run waited to try again",
            fix="run the job again if it shall go on nevertheless",
        )


def job_of(operation: OpDefinition, name: str, description: str) -> JobDefinition:
    """A job of one op, whose config is the job's: the Launchpad asks for its fields and for nothing around them."""
    graph = GraphDefinition(name, node_defs=[operation], description=description)

    def within(fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"ops": {operation.name: {"config": fields}}}

    config = ConfigMapping(within, operation.config_schema)
    return graph.to_job(config=config)  # pyright: ignore[reportUnknownMemberType]  # Dagster leaves a type variable open


def _chosen(context: OpExecutionContext, config: Chosen) -> str:
    context.instance.add_run_tags(context.run_id, {MIGRATION_TAG: config.migration})
    return config.migration


def _evidence(context: OpExecutionContext, config: Chosen) -> dict[str, str]:
    return {"reason": config.reason, "Dagster run": context.run_id}


def _tell_undone(context: OpExecutionContext, project: Project, back: Back) -> Callable[[Notice], None]:
    # Without its spec a migration has no assets.
    migrations = [migration for migration in project.migrations if migration.id == back.migration]
    keys = {str(leg): leg_key(migration, leg) for migration in migrations for leg in possible_legs(migration)}

    def listen(notice: Notice) -> None:
        if isinstance(notice, LegUndone):
            context.log.info(f"{notice.leg} is undone")
            if notice.leg in keys:
                note = f"{notice.leg} was taken back."
                told = no_longer_passed(context.instance, keys[notice.leg], note, reason=back.reason)
                context.log_event(told)

    return listen
