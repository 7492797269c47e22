"""Drift in Dagster: a job finds it, weekly or when asked; one accepts it; a check tells of it on a database's history.

No postponed annotations here: Dagster reads those of the functions below.
"""

from collections.abc import Iterator, Sequence

import psycopg
from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    Config,
    DefaultScheduleStatus,
    Failure,
    JobDefinition,
    OpExecutionContext,
    ScheduleDefinition,
    asset_check,
    op,
)
from pydantic import Field

from crossfade.errors import CrossfadeError
from crossfade.execute import Blocked
from crossfade.execute.drift import Drift, accept_drift, read_drift
from crossfade.orchestrate.history import History
from crossfade.orchestrate.keys import history_key
from crossfade.orchestrate.operations import job_of
from crossfade.orchestrate.refusals import Patience, told_in_words
from crossfade.report.drift import drift_lines
from crossfade.spec import Database, Project

FIND_DRIFT = "find_drift"
ACCEPT_DRIFT = "accept_drift"
_CHECK = "drift"


class Where(Config):
    """Which database is looked at."""

    database: str | None = Field(default=None, description="Its name in databases.yaml; without it all of them.")


class Accepted(Config):
    """Where what differs is right from now on, and why: the reason goes into the audit."""

    database: str = Field(description="Its name in databases.yaml.")
    reason: str = Field(description="Why a change by hand was right, for whoever reads the audit later.")


def drift_jobs(project: Project, history: History, patience: Patience) -> Sequence[JobDefinition]:
    """A run that finds drift fails, so that it is red and people are told."""
    shown = _with_history(project, history)

    def show(context: OpExecutionContext, drift: Drift) -> None:
        if drift.database in shown:
            # It takes evaluations of checks too; its annotation leaves them out.
            context.log_event(_evaluation(drift))  # pyright: ignore[reportArgumentType]

    @op
    def compare(context: OpExecutionContext, config: Where) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            found: list[str] = []
            unread: CrossfadeError | psycopg.Error | None = None
            for database in _chosen(project, config):
                try:
                    drift = read_drift(database)
                except (CrossfadeError, psycopg.Error) as error:  # the others are looked at all the same
                    unread = unread or error
                    continue
                words = "\n".join(drift_lines(drift))
                context.log.info(words)
                show(context, drift)
                if drift.differences:
                    found.append(words)
            if found:
                how = f"job {ACCEPT_DRIFT}, or `crossfade drift --accept --because ...`"
                fix = f"mend it by a migration, or take it as right: {how}"
                raise Failure("\n".join([*found, fix]), allow_retries=False)
            if unread is not None:
                raise unread

    @op
    def accept(context: OpExecutionContext, config: Accepted) -> None:
        with told_in_words(context.log, context.retry_number, patience):
            database = _named(project, config.database)
            if not config.reason.strip():
                raise Blocked("drift is accepted for a reason", fix="say in `reason` why the change by hand was right")
            accepted = accept_drift(database, config.reason)
            context.log.info("\n".join(drift_lines(accepted, accepted=True)))
            show(context, read_drift(database))

    return [
        job_of(
            compare, FIND_DRIFT, "Tells how the schemas differ from what migrations have made of them. Changes nothing."
        ),
        job_of(
            accept,
            ACCEPT_DRIFT,
            "Takes what differs in a database as right from now on, with an event in its audit. Changes no schema.",
        ),
    ]


def drift_schedule() -> ScheduleDefinition:
    """Weekly, unless it is switched off: it only reads."""
    return ScheduleDefinition(
        "drift_weekly",
        job_name=FIND_DRIFT,
        cron_schedule="0 6 * * 1",
        description="Runs the job that looks for drift.",
        default_status=DefaultScheduleStatus.RUNNING,
    )


def drift_checks(project: Project, history: History, patience: Patience) -> Iterator[AssetChecksDefinition]:
    """One on each asset that tells of a database's history."""
    for name in _with_history(project, history):
        yield _check(project.databases[name], patience)


def _check(database: Database, patience: Patience) -> AssetChecksDefinition:
    @asset_check(
        asset=history_key(database.name),
        name=_CHECK,
        description="Is the schema as migrations have made it? The job find_drift answers weekly.",
    )
    def check(context: AssetCheckExecutionContext) -> AssetCheckResult:
        with told_in_words(context.log, context.op_execution_context.retry_number, patience):
            drift = read_drift(database)
        return AssetCheckResult(
            passed=not drift.differences, severity=AssetCheckSeverity.WARN, description=_description(drift)
        )

    return check


def _evaluation(drift: Drift) -> AssetCheckEvaluation:
    return AssetCheckEvaluation(
        asset_key=history_key(drift.database),
        check_name=_CHECK,
        passed=not drift.differences,
        metadata={},
        severity=AssetCheckSeverity.WARN,
        description=_description(drift),
    )


def _description(drift: Drift) -> str:
    return "\n\n".join(line.strip() for line in drift_lines(drift))


def _with_history(project: Project, history: History) -> list[str]:
    return [*dict.fromkeys(each.head.database for each in project.migrations if each.id in history)]


def _chosen(project: Project, config: Where) -> list[Database]:
    return [*project.databases.values()] if config.database is None else [_named(project, config.database)]


def _named(project: Project, name: str) -> Database:
    if name not in project.databases:
        raise Blocked(f"databases.yaml names no database {name}", fix=f"it has: {', '.join(project.databases)}")
    return project.databases[name]
