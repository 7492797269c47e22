"""Tables that refer to one which is merged into another: their new column, its foreign key, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from crossfade.changes._change import Hazard
from crossfade.changes._context import Context
from crossfade.changes._referring import Followed, FollowingKey, followed, refuse_shared_indexes
from crossfade.steps.absorbed import Absorbed, giving_way
from crossfade.steps.rekey import Referring, Rekeyed


def referring_by_key(
    context: Context, absorbed: Absorbed, wanted: Sequence[FollowingKey]
) -> tuple[Rekeyed, tuple[Followed, ...]]:
    """The key as those who refer see it replaced by that of the like, and they; refuses what cannot follow."""
    table = absorbed.table
    for number, entry in enumerate(wanted):
        if entry.keep:
            context.refuse(
                f"{', '.join(entry.keep)} refers to a table that goes",
                why="what it holds means nothing then",
                fix="leave `keep` out",
                at=("references", number, "keep"),
            )
    bare = Rekeyed(
        migration=absorbed.migration,
        database=absorbed.database,
        table=table,
        constraint=next(found for found in table.constraints if found.kind == "primary_key"),
        index=next(index for index in table.indexes if index.primary),
        column=absorbed.link,
        type=absorbed.key.type,
        kept=(),
        children=(),
        silent=False,
        partial=True,
    )
    found = tuple(followed(context, bare, wanted))
    refuse_shared_indexes(context, found)
    named = {(each.child.table.name, each.child.constraint.name) for each in found}
    for foreign in context.catalog.references_to(table.name):
        if (foreign.child, foreign.name) not in named:
            context.refuse(
                f"foreign key {foreign.name} of {foreign.child} points at"
                f" ({', '.join(foreign.referenced_columns)}) of {table.name}, which is not its primary key",
                why="by which row it refers can be told by the primary key only",
                fix="let it point at the primary key first, or drop it",
                at=("references",),
            )
    for number, each in enumerate(found):
        if each.child.late:
            context.refuse(
                f"{each.child.constraint.name} of {each.child.table.name} may be checked at commit",
                why="a row could come before the one it refers to, of which nothing is known then",
                fix="make it NOT DEFERRABLE first",
                at=("references", number),
            )
    return replace(bare, children=tuple(each.child for each in found)), found


def hazards_of(absorbed: Absorbed, children: Sequence[Referring]) -> Iterator[Hazard]:
    table, kept = absorbed.table.name, absorbed.kept.name
    yield Hazard(
        "seen-in-both",
        "danger",
        f"from backfill on the old version finds the rows of {table} in {kept} too; an UPDATE or DELETE there that is"
        " not about single keys reaches them, and so its own table",
        "let the old version leave them out, by a column that `set` fills, in a release before this migration",
    )
    for index in giving_way.uniques(absorbed):
        yield Hazard(
            "unique-over-both",
            "warning",
            f"{index.name} of {kept} is to be unique over the rows of both: a row of {table} that has what one of"
            f" {kept} has is in conflict, and contract waits for it; from validate on a write of {kept} fails that"
            f" brings what one of {table} has",
            f"look for rows that both have before, and delete those of {table}, or write them otherwise",
        )
    yield Hazard(
        "held-rows",
        "note",
        f"a write of a row whose like somebody holds waits for it up to a second; if it is held longer, it is carried"
        f" over later, and {absorbed.shown} differ until then",
        "end transactions soon that write or lock these rows",
    )
    yield Hazard(
        "hidden-table",
        "warning",
        f"from retire on a statement that names {table} fails",
        "let a gate (soak, deployed) hold retire back until no version names it",
    )
    yield Hazard(
        "irreversible-drop",
        "danger",
        f"drop takes {table} away for good, with the keys its rows had"
        + "".join(f", {name}" for name in absorbed.table.by_name if name not in absorbed.columns.values()),
        "keep a backup",
    )
    for child in children:
        bound = [name for name in child.columns if child.table.by_name[name].not_null]
        if bound:
            yield Hazard(
                "freed-column",
                "note",
                f"{', '.join(bound)} of {child.table.name} may be empty from expand on: where a row of the new version"
                f" refers to one that only {kept} has, the old version finds NULL",
                "let the old version expect that, or the new one refer to such rows only when the old one is gone",
            )
