"""What the kinds that make, replace and drop views share."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from crossfade.catalog.model import Catalog, Name, View
from crossfade.changes._change import Hazard
from crossfade.changes._context import Columns, Context
from crossfade.changes._query import read_by
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import again
from crossfade.steps.compose import identifier
from crossfade.steps.followers import Follower, following_view, ordered


def found_view(context: Context, view: str, *, materialized: bool | None = None) -> View:
    """The view as it is now; refuses one that does not exist, is not of the sort wanted, or belongs to an extension."""
    name = context.name(view)
    found = context.catalog.views.get(name)
    what = "materialized view" if materialized else "view"
    if found is None:
        known = ", ".join(sorted(other.name for other in context.catalog.views if other.schema == name.schema))
        context.refuse(
            f"{what} {name} does not exist in database {context.database}",
            fix=f"views here: {known}" if known else f"the schema {name.schema} has no views",
            at=("view",),
        )
    if materialized is not None and found.materialized is not materialized:
        context.refuse(f"{name} is a {found.kind}, no {what}", at=("view",))
    if found.extension is not None:
        context.refuse(
            f"{name} belongs to the extension {found.extension}", why="it comes and goes with it", at=("view",)
        )
    return found


def refuse_taken(context: Context, name: Name, at: str = "view") -> None:
    """A relation of the name is there, or comes with an earlier change."""
    catalog = context.catalog
    taken = name in catalog.tables or name in catalog.views or name in catalog.sequences or name in context.shown
    if taken:
        fix = "use replace_view to change a view" if name in catalog.views else "give it another name"
        context.refuse(f"{name} exists already", fix=fix, at=(at,))


def refuse_used(context: Context, view: View, *, besides: Collection[str] = ()) -> None:
    """Something stands on it, and nothing is dropped by CASCADE. besides: kinds of what may."""
    own = (f"{rule.name} on {view.name}" for rule in view.rules)
    passed = {("rule", rule) for rule in own}
    using = [
        f"{d.kind} {d.name}"
        for d in view.dependents
        if d.kind not in ("function body", *besides) and (d.kind, d.name) not in passed
    ]
    if using:
        context.refuse(
            f"{view.name} is used by {', '.join(using)}",
            why="it cannot be dropped while something reads it, and nothing is dropped unasked",
            fix="drop that first, in a migration that comes before",
            at=("view",),
        )


def over(catalog: Catalog, view: View) -> tuple[Follower, ...]:
    """The view and all views over it, as they are, to be dropped and made again."""
    heights = {view.name: 0}
    grown = True
    while grown:
        grown = False
        for other in catalog.views.values():
            below = [heights[read] for read, _ in other.reads if read in heights and read != other.name]
            if below and heights.get(other.name, -1) <= max(below) and max(below) < len(catalog.views):
                heights[other.name] = max(below) + 1
                grown = True
    return ordered(following_view(catalog.views[name], height, rebuilt=True) for name, height in heights.items())


def text_hazards(view: View) -> Iterator[Hazard]:
    """Functions that name it in their text: evidence, no proof."""
    for dependent in view.dependents:
        if dependent.kind == "function body":
            what = f"{dependent.name} names {view.name}: see that it works after this"
            yield Hazard("function-body", "warning", what)


def bypass_hazards(
    context: Context, name: Name, query: str, *, invoker: bool = False, materialized: bool = False
) -> Iterator[Hazard]:
    """A view reads its tables as its owner, whom policies may not bind."""
    guarded = [
        read
        for read in read_by(context, query)
        if read in context.catalog.tables and context.catalog.tables[read].row_security
    ]
    if guarded and not invoker:
        yield Hazard(
            "bypasses-row-security",
            "warning",
            f"{name} reads {', '.join(map(str, guarded))} as its owner: policies that hide rows there from who reads"
            " the view do not bind it",
            "see that its query gives only what all of its readers may see"
            if materialized
            else "say `security_invoker: true` (PostgreSQL 15), or see that the owner is one whom the policies bind",
        )


def no_unique_index(name: Name) -> Hazard:
    """Of a materialized view."""
    what = f"{name} has no unique index: whoever reads it waits while it is refreshed"
    return Hazard("no-unique-index", "note", what, "add a unique index over columns that tell its rows apart")


def created(name: Name, query: str, options: dict[str, str], *, replace: bool = False) -> sql.Composable:
    """CREATE VIEW."""
    said = sql.SQL(", ").join(again.option(f"{key}={value}") for key, value in options.items())
    return sql.SQL("CREATE {}VIEW {}{} AS\n{}").format(
        sql.SQL("OR REPLACE " if replace else ""),
        identifier(name),
        sql.SQL(" WITH ({})").format(said) if options else sql.SQL(""),
        trusted(query),
    )


def lost_columns(view: View, gives: Columns) -> list[str]:
    """What CREATE OR REPLACE VIEW would refuse: columns that are gone, renamed, moved or of another type."""
    lost: list[str] = []
    for place, column in enumerate(view.columns):
        if place >= len(gives):
            lost.append(f"{column.name} is gone")
        elif gives[place][0] != column.name:
            lost.append(f"{column.name} is not column {place + 1} any more, {gives[place][0]} is")
        elif gives[place][1] != column.type:
            lost.append(f"{column.name} is {gives[place][1]}, was {column.type}")
    return lost
