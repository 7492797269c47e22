"""A query that a view is made of: one SELECT by PostgreSQL's grammar, and what it means on the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import postgast
from postgast import pg_query_pb2 as pg
from pydantic import AfterValidator

from crossfade.catalog.model import Name
from crossfade.changes._change import Need
from crossfade.changes._context import Columns, Context
from crossfade.changes._stand_ins import Row, over_stand_ins
from crossfade.steps.step import EXPAND, VALIDATE, Leg


def _one_query(text: str) -> str:
    try:
        statements = postgast.parse(text).stmts
    except postgast.PgQueryError as error:
        raise ValueError(f"not SQL: {error.message}") from None
    if len(statements) != 1 or not statements[0].stmt.HasField("select_stmt"):
        raise ValueError("a view is made of one SELECT")
    if statements[0].stmt.select_stmt.HasField("into_clause"):
        raise ValueError("a view is no SELECT INTO")
    return text.strip().rstrip(";")


Query = Annotated[str, AfterValidator(_one_query)]


def columns_of(context: Context, query: str) -> Columns | None:
    """What the query gives, as PostgreSQL says; refuses what it does not understand.

    None: it calls a function that the same migration makes, or needs the key of a table that does not exist yet.
    """
    if not {signature.partition("(")[0].rpartition(".")[2] for signature in context.defined}.isdisjoint(_called(query)):
        return None
    coming = {name: row for name, row in _coming(context).items() if name in read_by(context, query)}
    with context.at("as"):
        if coming:
            return context.probe.fits(over_stand_ins(_qualified(context, query), coming))
        return context.probe.query(query)


def _coming(context: Context) -> dict[Name, Row]:
    """Relations with columns that are not there yet."""
    rows: dict[Name, Row] = dict(context.shown)
    for name, table in context.catalog.tables.items():
        if context.arrivals.get(name) or name in context.created:
            rows[name] = context.new_row_types(table)
    return rows


def leg_of(context: Context, query: str, otherwise: Leg = EXPAND) -> Leg:
    """When a view over it can be made: where a column that is filled first is named, not before it is; nor before a
    view of the same migration.
    """
    read, named = read_by(context, query), names_in(query)
    fills = any(
        arrival.physical == column and column in named
        for name in read
        for column, arrival in context.arrivals.get(name, {}).items()
    )
    return VALIDATE if fills or not context.shown.keys().isdisjoint(read) else otherwise


def needs_of(context: Context, query: str) -> Iterator[Need]:
    """Columns that no other change of the migration may take away from it."""
    named = names_in(query)
    for name in read_by(context, query):
        if name in context.catalog.tables and name not in context.created:
            for column in context.catalog.tables[name].by_name:
                if column in named or "*" in named:
                    yield Need(name, column, follows=False)


def names_in(query: str) -> frozenset[str]:
    """The columns it may name, by their last part; `*` where it names them all."""
    found = set[str]()
    for _, node in postgast.walk(postgast.parse(query)):
        if isinstance(node, pg.ColumnRef):
            last = node.fields[-1]
            found.add(last.string.sval if last.HasField("string") else "*")
        elif isinstance(node, pg.JoinExpr):
            found |= {"*"} if node.is_natural else {each.string.sval for each in node.using_clause}
    return frozenset(found)


def read_by(context: Context, query: str) -> tuple[Name, ...]:
    """The relations it names, where the schema of the database is looked in for a bare name."""
    return tuple(dict.fromkeys(_name(context, node) for node in _tables(postgast.parse(query))))


def _qualified(context: Context, query: str) -> str:
    tree = postgast.parse(query)
    for node in _tables(tree):
        node.schemaname = _name(context, node).schema
    return postgast.deparse(tree)


def _name(context: Context, node: pg.RangeVar) -> Name:
    return Name(node.schemaname or context.schema, node.relname)


def _tables(tree: pg.ParseResult) -> list[pg.RangeVar]:
    nodes = [node for _, node in postgast.walk(tree)]
    ctes = {node.ctename for node in nodes if isinstance(node, pg.CommonTableExpr)}
    return [node for node in nodes if isinstance(node, pg.RangeVar) and (node.schemaname or node.relname not in ctes)]


def _called(query: str) -> Iterator[str]:
    for _, node in postgast.walk(postgast.parse(query)):
        if isinstance(node, pg.FuncCall):
            yield node.funcname[-1].string.sval
