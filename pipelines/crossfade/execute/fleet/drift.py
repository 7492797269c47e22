"""Members that are not as the others: what a plan would do there, or what their catalogs show, differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg

from crossfade.catalog.drift import diff
from crossfade.catalog.model import Catalog
from crossfade.catalog.snapshot import read_catalog
from crossfade.errors import CrossfadeError
from crossfade.execute.fleet.members import FleetError
from crossfade.execute.session import reading
from crossfade.plan import Plan
from crossfade.server_words import told
from crossfade.spec import Fleet, Member

_SHOWN = 3


class Drifted(FleetError):
    """A member is not as the canary: the migration would do something else there."""


def refuse_drifted(member: Member, plan: Plan, canary: Member, reference: Plan) -> None:
    """Raises Drifted unless the plan of a member that has not started is that of the canary."""
    if plan.digest == reference.digest:
        return
    raise Drifted(
        f"{member.name} is not as {canary.name}: {plan.migration} would do something else there",
        why=_in_short(sorted(_differing(plan, reference))),
        fix=f"make its schema that of {canary.name}; or `crossfade --member {member.name} up {plan.migration}`"
        " starts it there by a plan of its own, and the fleet goes on from that",
    )


def read_drift(fleet: Fleet, members: Sequence[Member]) -> dict[str, str]:
    """How the catalogs of members differ from that of the first of them, by name; those that do not are left out."""
    first, *others = members
    reference = _catalog(first)
    if isinstance(reference, str):
        return {first.name: reference}

    def compared(member: Member) -> str:
        catalog = _catalog(member)
        return catalog if isinstance(catalog, str) else _in_short([*map(str, diff(reference, catalog, own=False))])

    with ThreadPoolExecutor(max_workers=fleet.max_parallel) as pool:
        found = zip(others, pool.map(compared, others), strict=True)
        return {member.name: what for member, what in found if what}


def _catalog(member: Member) -> Catalog | str:
    """Its catalog, or why it cannot be read."""
    try:
        with reading(member.database, "crossfade fleet") as connection:
            return read_catalog(connection)
    except CrossfadeError as error:
        return ": ".join(filter(None, (error.what, error.why)))
    except psycopg.Error as error:
        return told(error)


def _differing(plan: Plan, reference: Plan) -> Iterator[str]:
    mine, theirs = ({step.id: step for step in each.steps} for each in (plan, reference))
    for name in mine.keys() ^ theirs.keys():
        yield f"{'only here' if name in mine else 'only there'}: {(mine.get(name) or theirs[name]).title}"
    for name in mine.keys() & theirs.keys():
        if mine[name] != theirs[name]:
            yield f"otherwise: {mine[name].title}"
    if mine == theirs:
        yield "its gates or settings are others"


def _in_short(found: Sequence[str]) -> str:
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more
