"""Which later migrations stand on one that is to be taken back: their own undo would no longer find what they left."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.execute.errors import Blocked
from crossfade.execute.frozen import thaw
from crossfade.execute.ledgers import readable_ledger
from crossfade.execute.session import reading
from crossfade.ledger import Ledger, is_installed
from crossfade.plan import Plan
from crossfade.spec import Project


def refuse_while_stood_on(project: Project, plan: Plan) -> None:
    """Raises Blocked while a migration that comes after this one, or began later on its tables, has not been undone.

    One that has done nothing yet stands on nothing. Reads only.
    """
    standing: dict[str, str] = {}
    for name in _databases(project, plan):
        with reading(project.databases[name], "crossfade rollback") as connection:
            if is_installed(connection):
                standing.update(_standing(plan, name, readable_ledger(connection)))
    if standing:
        raise Blocked(
            f"{plan.migration} cannot be taken back while {', '.join(standing)} stands on it",
            why="; ".join(standing.values()),
            fix=f"newest first: {', then '.join(f'`crossfade rollback {other}`' for other in standing)}",
        )


def _databases(project: Project, plan: Plan) -> tuple[str, ...]:
    """Its own, and those of the specs that come after it."""
    after = (known.head.database for known in project.migrations if plan.migration in known.head.after)
    return tuple(dict.fromkeys((*plan.databases, *after)))


def _standing(plan: Plan, database: str, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """The migrations of this ledger, newest first, and why each must go before."""
    mine = ledger.migration(plan.migration)
    tables = _tables(plan, database)
    for other in reversed(ledger.migrations()):
        if other.id == plan.migration or other.state == "undone" or not ledger.has_begun(other.id):
            continue
        began_later = mine is not None and other.started_at > mine.started_at
        if plan.migration in other.plan["after"]:
            yield other.id, f"{other.id} comes after it"
        elif began_later and (shared := sorted(tables & _tables(thaw(other), database))):
            yield other.id, f"{other.id} began later on {', '.join(shared)}"


def _tables(plan: Plan, database: str) -> frozenset[str]:
    """What its steps lock there, forward or back: a table it creates is locked on the way back only."""
    steps = [step for step in plan.steps if step.database == database]
    return frozenset(str(lock.relation) for step in steps for each in (step, *step.undo) for lock in each.locks)
