"""A view that stands for a table under another name, for reads and writes alike."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.model import Name, Table
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import identifier, names
from crossfade.steps.privileges import grants

INVOKER_SINCE = 150000  # security_invoker: before, a view reads as its owner does


def stand_in(table: Table, view: Name, over: Name, *, version: int) -> Iterator[sql.Composable]:
    """The statements that make `view` over the table, which is called `over` then.

    Columns stand in the table's order, with its defaults, which frameworks read and PostgreSQL applies; comments and
    grants are the table's too. version: of the server.
    """
    shown = names(column.name for column in table.columns)
    invoker = sql.SQL(" WITH (security_invoker = true)" if version >= INVOKER_SINCE else "")
    yield sql.SQL("CREATE VIEW {}{} AS SELECT {} FROM {}").format(identifier(view), invoker, shown, identifier(over))
    for column in table.columns:
        if column.default is not None and column.generated is None:
            yield sql.SQL("ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {}").format(
                identifier(view), sql.Identifier(column.name), trusted(column.default)
            )
    if table.comment is not None:
        yield sql.SQL("COMMENT ON VIEW {} IS {}").format(identifier(view), sql.Literal(table.comment))
    for column in table.columns:
        if column.comment is not None:
            named = sql.Identifier(view.schema, view.name, column.name)
            yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(named, sql.Literal(column.comment))
    subject = sql.SQL("TABLE {}").format(identifier(view))
    yield from grants(subject, table.grants)
    for column in table.columns:
        yield from grants(subject, column.grants, column.name)
