"""Rows that go to another database by logical replication: all of them first, then what is written; proved; ended."""

from __future__ import annotations

import time
from datetime import timedelta

from crossfade.compare import CompareFailed, Incomparable, Question, Side, compare
from crossfade.execute import publishing
from crossfade.execute.ddl import until_done
from crossfade.execute.errors import ExecutionFailed, Paused, StepRefused
from crossfade.execute.notice import Progress, StepFinished
from crossfade.execute.session import reading
from crossfade.execute.site import Site
from crossfade.steps.step import Compare, EndReplication, Replicate, Replication

_LOOK_EVERY = 0.2  # seconds
_FAILURES = 3  # of its workers, which try again every five seconds
_IDLE = 60.0  # seconds without any of its workers
_SETTLE = timedelta(seconds=10)  # for a row that is written while it is compared


def run_replicate(site: Site, step: Replicate) -> StepFinished:
    """Start the replication and wait until the subscriber, which is here, has all rows.

    Raises Paused, StepRefused where rows are in the way or DDL came between, ExecutionFailed when its workers fail.
    """
    of, publisher = step.of, site.beside[step.of.publisher]
    began = time.monotonic()
    publishing.refuse_other_shape(publisher, of)
    if publishing.is_subscribed(site, of) is None:
        _refuse_rows(site, of)
    site.begin(step)

    def start() -> None:
        publishing.publish(publisher, of)
        publishing.subscribe(site, publisher, of, copying=True)
        publishing.enable(site, of)

    until_done(site, step, start)
    site.fault("subscribed")
    _wait_until_copied(site, step)
    with site.transaction():
        site.ledger.step_done(site.migration, step.id)
    return StepFinished(step, time.monotonic() - began)


def end_replication(site: Site, step: EndReplication) -> StepFinished:
    """Both ends are gone when this returns; it may have been gone before."""
    of = step.of
    began = time.monotonic()
    site.begin(step)
    subscriber, publisher = ends(site, of)
    finished = until_done(site, step, lambda: publishing.end(subscriber, publisher, of))
    with site.transaction():
        site.ledger.step_done(site.migration, step.id)
    return StepFinished(step, time.monotonic() - began, attempts=finished.attempts)


def run_compare(site: Site, step: Compare) -> StepFinished:
    """Compare table by table. Raises StepRefused with how many rows differ, never which."""
    of = step.of
    began, rows = time.monotonic(), 0
    publishing.refuse_other_shape(site.beside[of.publisher], of)
    site.begin(step)
    databases = {each.name: each.database for each in ends(site, of)}
    for table in of.tables:
        if site.ledger.paused(site.migration):
            raise Paused
        question = Question(
            Side(of.publisher, str(table.relation)),
            Side(of.subscriber, str(table.relation)),
            columns=table.columns,
            most=1000,
            settle=_SETTLE,
            statement_timeout=timedelta(hours=12),
        )
        try:
            found = compare(question, lambda name: reading(databases[name], f"crossfade compare {site.migration}"[:63]))
        except (Incomparable, CompareFailed) as error:
            raise ExecutionFailed(
                f"{step.title}: {error.what}", why=error.why, fix=error.fix or f"run {site.to_go_on} again"
            ) from None
        if not found.equal:
            raise StepRefused(
                f"{question.a} and {question.b} are not the same: {found.verdict}",
                why=f"somebody else writes in {of.subscriber}, or the replication lags by more than 10 s",
                fix=f"see `crossfade compare {question.a} {question.b}`; then run {site.to_go_on} again",
            )
        rows += found.rows[0]
    with site.transaction():
        site.ledger.step_done(site.migration, step.id, rows=rows)
    return StepFinished(step, time.monotonic() - began, rows=rows)


def ends(site: Site, of: Replication) -> tuple[Site, Site]:
    """The subscriber's and the publisher's site; `site` is one of them."""
    return _site(site, of.subscriber), _site(site, of.publisher)


def _site(site: Site, name: str) -> Site:
    return site if name == site.name else site.beside[name]


def _refuse_rows(site: Site, of: Replication) -> None:
    for table in of.tables:
        if not publishing.is_empty(site, table.relation):
            raise StepRefused(
                f"{table.relation} of {site.name} has rows already",
                why=f"all rows of {of.publisher} are to be copied into it",
                fix=f"TRUNCATE it in {site.name}, then run {site.to_go_on} again",
            )


def _wait_until_copied(site: Site, step: Replicate) -> None:
    failed, seen = publishing.failures(site, step.of), time.monotonic()
    while True:
        done, all_ = publishing.copied(site, step.of)
        if done == all_:
            return
        site.listen(Progress(step, done / all_, 0, done, 0.0, None, None))
        if publishing.is_at_work(site, step.of):
            seen = time.monotonic()
        if publishing.failures(site, step.of) - failed >= _FAILURES or time.monotonic() - seen > _IDLE:
            raise ExecutionFailed(
                f"{step.title}: no worker in {site.name} gets on with it",
                why="a row does not fit there, it cannot reach the other server, or all workers are taken"
                " (max_logical_replication_workers)",
                fix=f"the log of {site.name}'s server says why; mend it, then run {site.to_go_on} again",
            )
        if site.ledger.paused(site.migration):
            raise Paused
        if site.stopping.wait(_LOOK_EVERY):
            site.confirm()
