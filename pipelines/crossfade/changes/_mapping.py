"""What the kinds that map columns share: expressions checked by the server, and whether they can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import postgast
from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import Table
from crossfade.changes._context import Context, Facts, Path
from crossfade.spec.fragment import Expression

_WIDENING = {
    "smallint": {"integer", "bigint", "numeric", "real", "double precision"},
    "integer": {"bigint", "numeric", "double precision"},
    "bigint": {"numeric"},
    "real": {"double precision"},  # not date to timestamp: dates go further
}
_TOTAL_ON_TEXT = {"lower", "upper", "btrim", "ltrim", "rtrim", "initcap", "concat"}
_TOTAL_NODES = {"ColumnRef", "FuncCall", "CoalesceExpr", "A_Const", "A_Expr ||"}
_TEXTS = {"text", "character varying"}
_ALIASES = {"t", "r", "a", "c", "p", "batch", "new", "old"}  # what our statements call rows
_SPELLED_OUT = _TEXTS | {"smallint", "integer", "bigint", "boolean", "uuid", "numeric", "date"}


def checked(
    context: Context,
    table: Table,
    expression: Expression,
    *,
    row: Mapping[str, str],
    wanted: str,
    field: str,
    at: Path = (),
    beside: str | None = None,
) -> Facts:
    """Refuse an expression that the server does not accept for the wanted type, or that we could not carry over.

    field: what it is called. at: the path to it from the change, where that is not its name. beside: what it calls
    another row of the table.
    """
    with context.at(*(at or (field,))):
        _refuse_captured(context, table, expression, field)
        return expect(context, expression, table=table.name.name, row=row, wanted=wanted, field=field, beside=beside)


def checked_over_group(
    context: Context, table: Table, expression: Expression, *, wanted: str, field: str, at: Path
) -> Facts:
    """The same of an expression that may have window functions, over rows of the table."""
    ask = partial(context.probe.windowed, expression)
    return _checked_by(ask, context, table, expression, wanted=wanted, field=field, at=at)


def checked_over_rows(
    context: Context, table: Table, expression: Expression, *, wanted: str, field: str, at: Path
) -> Facts:
    """The same of one that says of many rows of the table one thing, by aggregates."""
    ask = partial(context.probe.aggregated, expression)
    return _checked_by(ask, context, table, expression, wanted=wanted, field=field, at=at)


def _checked_by(
    ask: Callable[..., Facts],
    context: Context,
    table: Table,
    expression: Expression,
    *,
    wanted: str,
    field: str,
    at: Path,
) -> Facts:
    with context.at(*at):
        _refuse_captured(context, table, expression, field)
        facts = ask(table=table.name.name, row=context.row_types(table), wanted=wanted)
        return _assigned(context, expression, facts, wanted=wanted, field=field)


def expect(
    context: Context,
    expression: Expression,
    *,
    table: str,
    row: Mapping[str, str],
    wanted: str,
    field: str,
    beside: str | None = None,
) -> Facts:
    """The same for a table that need not exist yet."""
    if field.startswith(("check", "default")) and "SubLink" in expression.nodes:
        context.refuse(f"{field} has a sub-select", why="PostgreSQL takes none there: it looks at one row only")
    facts = context.probe.expression(expression, table=table, row=row, wanted=wanted, beside=beside)
    return _assigned(context, expression, facts, wanted=wanted, field=field)


def _assigned(context: Context, expression: Expression, facts: Facts, *, wanted: str, field: str) -> Facts:
    if not facts.assignable:
        context.refuse(
            f"{field} gives {facts.type}, the column wants {wanted}",
            why="PostgreSQL converts between these only when told to",
            fix=f"write ({expression})::{wanted}",
        )
    return facts


def _refuse_captured(context: Context, table: Table, expression: Expression, field: str) -> None:
    """The row is called by another name in our statements, so a fragment can name its columns only, one by one."""
    bare = table.name.name
    if {(bare, "*"), *(() if "SubLink" in expression.nodes else [("*",)])} & expression.references:
        context.refuse(
            f"{field} takes the row of {table.name} as a whole",
            why="while the migration runs the row has columns of both versions and of crossfade",
            fix=f"name the columns, e.g. jsonb_build_object('id', {bare}.id)",
        )
    taken = sorted(_ALIASES & _bound_names(expression) - {bare})
    if taken:
        context.refuse(
            f"{field} calls a table {taken[0]} in a sub-select",
            why=f"crossfade calls the row {', '.join(sorted(_ALIASES))} in its own statements: {taken[0]}.column would"
            " mean another table there",
            fix="give the table of the sub-select another alias",
        )


def _bound_names(expression: Expression) -> set[str]:
    """The names that its sub-selects give their tables."""
    nodes = [node for _, node in postgast.walk(postgast.parse(f"SELECT ({expression}\n)"))]
    tables = {node.alias.aliasname or node.relname for node in nodes if isinstance(node, pg.RangeVar)}
    return tables | {node.aliasname for node in nodes if isinstance(node, pg.Alias)}


def is_total(expression: Expression, row: Mapping[str, str], wanted: str) -> bool:
    """No value can make the expression fail when assigned to `wanted`: known only for a few safe forms."""
    if (column := expression.is_column) is not None:
        given = row.get(column)
        return given == wanted or (given is not None and _fits(given, wanted))
    called = {".".join(name) for name in expression.functions}
    texts = all(row.get(column) == "text" for column in expression.columns(""))
    return wanted == "text" and texts and called <= _TOTAL_ON_TEXT and expression.nodes <= _TOTAL_NODES


def _fits(given: str, wanted: str) -> bool:
    if wanted in _WIDENING.get(given, ()):
        return True
    return wanted in _TEXTS and given.partition("(")[0] in _SPELLED_OUT
