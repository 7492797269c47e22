"""A trial of `retire`: the old columns bear their hidden names for minutes, and then their own again.

What is hidden goes on being kept in step, by the same function as after retire, so nothing is lost on either side. No
rule is touched: NOT NULL and checks of the old columns stay, so that giving them back takes no scan.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import lock
from crossfade.steps.fill import turn_guards
from crossfade.steps.rows import Moment, Pair, Sides
from crossfade.steps.step import Brownout, stage_leg
from crossfade.steps.sync import install_sync, remove_sync


def steps(sides: Sides) -> Iterator[Brownout]:
    """One, where retire will hide a column of the table and nothing else has to turn with it."""
    hiding = _hiding(sides)
    if sides.brownout is None or not hiding:
        return
    names = [name for pair in hiding for name in pair.old]
    before: Moment = "swapped" if sides.swaps else "side by side"
    said = ", ".join(f"{sides.relation}.{name}" for name in names)
    yield Brownout(
        id=sides.id("brownout"),
        leg=stage_leg("brownout"),
        database=sides.database,
        title=f"hide {said} for a while, count what fails, and give it back",
        locks=lock(sides.relation, "ACCESS EXCLUSIVE"),
        relation=sides.relation,
        columns=tuple(names),
        hide=(*_sync_ends(sides), *_hidden(sides, hiding), *_sync_goes_on(sides, "retired")),
        restore=(*_sync_ends(sides), *_given_back(sides, hiding), *_sync_goes_on(sides, before)),
        hidden=_asked(sides, names[0]),
        guards=turn_guards(sides),
        seconds=sides.brownout.total_seconds(),
        undo_title="the columns were given back",
    )


def untried(sides: Sides) -> str | None:
    """Why more than names would have to turn for the trial of what retire ends on this table; None: it is not so."""
    if sides.schemas is not None:
        return "each version sees the table by views of its own, which would have to go and come back"
    if _hiding(sides) and sides.mirrors:
        return "its columns go to another table, whose triggers would have to turn too"
    return None


def _hiding(sides: Sides) -> list[Pair]:
    return [pair for pair in sides.pairs if pair.old and not pair.swap]


def _hidden(sides: Sides, hiding: list[Pair]) -> Iterator[str]:
    for pair in hiding:
        for name in pair.old:
            yield sides.alter("RENAME COLUMN {} TO {}", name, sides.hidden(name)).as_string(None)
        for column in pair.new:
            if column.default is not None:  # of a row that is written without it, now that the old one gives nothing
                yield sides.alter("ALTER COLUMN {} SET DEFAULT {}", column.name, trusted(column.default)).as_string(
                    None
                )


def _given_back(sides: Sides, hiding: list[Pair]) -> Iterator[str]:
    for pair in hiding:
        for column in pair.new:
            if column.default is not None:
                yield sides.alter("ALTER COLUMN {} DROP DEFAULT", column.name).as_string(None)
        for name in pair.old:
            yield sides.alter("RENAME COLUMN {} TO {}", sides.hidden(name), name).as_string(None)


def _sync_ends(sides: Sides) -> tuple[str, ...]:
    return remove_sync(sides) if sides.synced else ()


def _sync_goes_on(sides: Sides, moment: Moment) -> tuple[str, ...]:
    return install_sync(sides, moment) if sides.synced else ()


def _asked(sides: Sides, name: str) -> str:
    return (
        sql.SQL("SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = {}::regclass::oid AND attname = {}::name)")
        .format(sql.Literal(sides.sql.as_string(None)), sql.Literal(sides.hidden(name)))
        .as_string(None)
    )
