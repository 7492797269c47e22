"""What a person does to a migration from Dagster's launchpad: pause it, let it go on, take it back.

Approving is not among them: an approval is worth the role that gives it, and here everybody acts as Dagster's.

No postponed annotations here: Dagster reads those of the ops.
"""

from dagster import Config, JobDefinition, OpExecutionContext, job, op
from pydantic import Field

from crossfade.execute import Runner
from crossfade.orchestrate.refusals import Patience, told_in_words
from crossfade.spec import Project


class Chosen(Config):
    """Which migration, and why: both go into the events of its ledgers."""

    migration: str = Field(description="The id of the migration.")
    reason: str = Field(description="Why, for whoever reads the events later.")


class Undone(Chosen):
    """How far it is taken back."""

    to: str | None = Field(default=None, description="The phase or stage that stays; all goes without it.")


def operations(project: Project, patience: Patience) -> list[JobDefinition]:
    """One job each; they are the same for all migrations."""

    @op(description="Stops a migration after the batch or step at hand. What is done is kept.")
    def pause(context: OpExecutionContext, config: Chosen) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            for ledger in _ledgers(context, project, config, "pause"):
                ledger.pause(config.migration)

    @op(description="Lets a paused migration go on.")
    def resume(context: OpExecutionContext, config: Chosen) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            for ledger in _ledgers(context, project, config, "resume"):
                ledger.resume(config.migration)

    @op(description="Takes a migration back, newest leg first, in all its databases.")
    def roll_back(context: OpExecutionContext, config: Undone) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            migration = _named(project, config.migration)
            for _ in _ledgers(context, project, config, "roll back"):
                pass
            runner = Runner(project, _tell_undone(context, migration), holder=f"Dagster run {context.run.run_id}")
            runner.rollback(migration, to=config.to)

    @job
    def pause_migration() -> None:
        """Stop a migration after the batch or step at hand."""
        pause()

    return [pause_migration]
