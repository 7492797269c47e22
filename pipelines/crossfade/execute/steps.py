"""One function for each kind of step, and the order in which a leg's steps are done and undone in a database."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import psycopg

from crossfade.execute.autocommit import run_autocommit, took_effect
from crossfade.execute.brownout import run_brownout
from crossfade.execute.check import run_check
from crossfade.execute.copy import run_copy
from crossfade.execute.ddl import run_ddl
from crossfade.execute.errors import Paused, StepRefused, WitnessChanged
from crossfade.execute.gone import left_to_undo, refuse_gone
from crossfade.execute.index import build_index, claim_half_dropped, drop_index, left_index
from crossfade.execute.notice import StepFinished, StepStarted
from crossfade.execute.rebuild import drop_half_rebuilt, rebuild_index
from crossfade.execute.replicate import end_replication, run_compare, run_replicate
from crossfade.execute.settle import settle
from crossfade.execute.site import Site
from crossfade.execute.switch import run_switch
from crossfade.execute.walk import run_walk
from crossfade.ledger import StepRecord
from crossfade.plan import Plan
from crossfade.steps.step import (
    AnyStep,
    Autocommit,
    Brownout,
    BuildIndex,
    Check,
    Compare,
    Copy,
    Ddl,
    DropIndex,
    EndReplication,
    Leg,
    RebuildIndex,
    Replicate,
    Switch,
    Walk,
)

_ASK_AGAIN = 3


def run_leg_steps(site: Site, plan: Plan, leg: Leg) -> None:
    """Do the steps of a leg that are not done yet; raises Paused after the one at hand when a person says so."""
    for attempt in range(_ASK_AGAIN):
        try:
            _run_all(site, [*plan.steps_of(leg, site.name)])
            return
        except WitnessChanged as changed:
            # A trigger was off or the table was rewritten since the scan: what it proved must be proved again.
            if attempt == _ASK_AGAIN - 1:
                raise StepRefused(
                    f"{plan.migration}: the catalog changes under the check {changed}",
                    why="a sync trigger was switched off and on, or the table was rewritten, while rows were compared",
                    fix=f"find out who does it, then run {site.to_go_on} again",
                ) from None


def undo_leg_steps(site: Site, plan: Plan, leg: Leg, *, goes_on: bool) -> bool:
    """Take back what the leg has done here, newest first; tells whether there was anything.

    goes_on: the leg before is not taken back, so that this one can be done again.

    Raises InDoubt where it is not known what a step did.
    """
    records = site.ledger.steps(site.migration)
    touched = False
    for step in reversed([*plan.steps_of(leg, site.name)]):
        record = records.get(step.id)
        if record is None or record.state == "undone":
            continue
        touched = True
        if left_something(site.work, site.migration, step, record):
            if isinstance(step, DropIndex):
                claim_half_dropped(site, step)
            if isinstance(step, RebuildIndex):
                drop_half_rebuilt(site, step)
            wanted = [undo for undo in step.undo if goes_on or not undo.for_going_on]
            _run_all(site, [*left_to_undo(site, wanted)])
        with site.transaction():
            site.ledger.step_undone(site.migration, step.id, tuple(undo.id for undo in step.undo))
    return touched


def left_something(connection: psycopg.Connection[Any], migration: str, step: AnyStep, record: StepRecord) -> bool:
    """A step that is not undone had an effect, in part at least. Raises InDoubt where only a person can tell."""
    match step:
        case Ddl():
            return record.state == "done"
        case Autocommit():
            return took_effect(connection, migration, step, record)
        case BuildIndex():
            return left_index(connection, step, record)
        case _:
            return True


def _run_all(site: Site, steps: Sequence[AnyStep]) -> None:
    done = {step for step, record in site.ledger.steps(site.migration).items() if record.state == "done"}
    if all(step.id in done for step in steps):
        return
    for step in steps:
        if isinstance(step, Walk):  # all of them first: one is refused for the conflicts of all
            settle(site, step)
    for number, step in enumerate(steps, 1):
        if step.id in done and not _worth_repeating(site, step, steps[number:], done):
            continue
        if site.ledger.paused(site.migration):
            raise Paused
        refuse_gone(site, step)
        site.listen(StepStarted(step))
        site.fault("before step")
        site.listen(_run(site, step))
        site.fault("after step")


def _worth_repeating(site: Site, step: AnyStep, rest: Sequence[AnyStep], done: Container[str]) -> bool:
    """On a new run of an unfinished leg: what a check saw may not be so any more, and mended rows are walked again.

    rest: the steps after it. In contract, or where it says so, a check is asked for the one that follows, which changes
    what is asked of.
    """
    match step:
        case Walk(again=True) | Copy() | Compare():
            return True
        case Check():
            follows = next((later for later in rest if not isinstance(later, Check)), None)
            is_repeated = step.leg.stage is None and not step.for_next
            return is_repeated or follows is None or follows.id not in done
        case Walk(retry=str()):
            return site.ledger.met_conflicts(site.migration)
        case _:
            return False


def _run(site: Site, step: AnyStep) -> StepFinished:
    match step:
        case Ddl():
            return run_ddl(site, step)
        case Autocommit():
            return run_autocommit(site, step)
        case BuildIndex():
            return build_index(site, step)
        case DropIndex():
            return drop_index(site, step)
        case RebuildIndex():
            return rebuild_index(site, step)
        case Walk():
            return run_walk(site, step)
        case Copy():
            return run_copy(site, step)
        case Replicate():
            return run_replicate(site, step)
        case EndReplication():
            return end_replication(site, step)
        case Compare():
            return run_compare(site, step)
        case Switch():
            return run_switch(site, step)
        case Brownout():
            return run_brownout(site, step)
        case Check():
            return run_check(site, step)
