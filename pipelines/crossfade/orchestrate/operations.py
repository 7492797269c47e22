"""What a person does to a migration from Dagster's launchpad: pause it, let it go on, take it back.

Approving is not among them: an approval is worth the role that gives it, and here everybody acts as Dagster's.
No postponed annotations here: Dagster reads those of the ops.
"""

from collections.abc import Callable
from contextlib import closing

from dagster import AssetObservation, Config, GraphDefinition, JobDefinition, OpDefinition, OpExecutionContext, op
from pydantic import Field

from crossfade.execute import Blocked, LegUndone, Notice, Runner, open_session
from crossfade.ledger import Ledger
from crossfade.orchestrate.keys import MIGRATION_TAG, leg_key
from crossfade.orchestrate.legs import possible_legs
from crossfade.orchestrate.refusals import Patience, told_in_words
from crossfade.orchestrate.standing import read_standing
from crossfade.plan import Plan
from crossfade.spec import Migration, Project


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
            _note(context, project, config, "pause", lambda ledger: ledger.pause(config.migration))

    @op
    def resume(context: OpExecutionContext, config: Chosen) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            _note(context, project, config, "resume", lambda ledger: ledger.resume(config.migration))

    @op
    def roll_back(context: OpExecutionContext, config: Back) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            _note(context, project, config, "rollback", lambda _: None)
            migration = _named(project, config.migration)
            runner = Runner(project, _tell_undone(context, migration), holder=f"Dagster run {context.run_id}")
            runner.rollback(migration, to=config.to)

    return [
        _job(pause, "pause_migration", "Stops a migration after the batch or step at hand. What is done is kept."),
        _job(resume, "resume_migration", "Lets a paused migration go on."),
        _job(roll_back, "roll_back_migration", "Takes a migration back, newest leg first, in all its databases."),
    ]


def _job(operation: OpDefinition, name: str, description: str) -> JobDefinition:
    graph = GraphDefinition(name, node_defs=[operation], description=description)
    return graph.to_job()  # pyright: ignore[reportUnknownMemberType]  # Dagster leaves a type variable open


def _note(
    context: OpExecutionContext, project: Project, config: Chosen, what: str, write: Callable[[Ledger], None]
) -> None:
    """Write to the ledger of each of its databases, with the reason: a walk asks the one it is in."""
    context.instance.add_run_tags(context.run_id, {MIGRATION_TAG: config.migration})
    for name in _started_plan(project, _named(project, config.migration)).databases:
        with closing(open_session(project.databases[name], "crossfade")) as connection, connection.transaction():
            ledger = Ledger(connection)
            body = {"reason": config.reason, "run": context.run_id}
            ledger.event(config.migration, f"{what} asked for in Dagster", body)
            write(ledger)


def _named(project: Project, name: str) -> Migration:
    for migration in project.migrations:
        if migration.id == name:
            return migration
    raise Blocked(f"there is no migration {name}", fix="give the id that stands in its spec under `migration`")


def _started_plan(project: Project, migration: Migration) -> Plan:
    plan = read_standing(project, migration).plan
    if plan is None:
        raise Blocked(f"{migration.id} has not started")
    return plan


def _tell_undone(context: OpExecutionContext, migration: Migration) -> Callable[[Notice], None]:
    keys = {str(leg): leg_key(migration, leg) for leg in possible_legs(migration)}

    def listen(notice: Notice) -> None:
        if isinstance(notice, LegUndone):
            context.log.info(f"{notice.leg} is undone")
            if notice.leg in keys:
                context.log_event(AssetObservation(keys[notice.leg], description="It was taken back."))

    return listen
