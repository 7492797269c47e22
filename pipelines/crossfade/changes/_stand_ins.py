"""Queries of the catalog's asked over rows of other types: what each would mean once a column has another type."""

from __future__ import annotations

from collections.abc import Mapping

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import Name
from crossfade.composing import sql
from crossfade.spec.fragment import trusted

Row = Mapping[str, str]  # column -> type


def over_stand_ins(query: str, rows: Mapping[Name, Row]) -> str:
    """The query with each of these relations replaced by a row of NULLs of the given types.

    query: as the catalog prints it, where every relation has its schema before it.
    """
    tree = postgast.parse(query)
    _replace(tree, rows)
    return postgast.deparse(tree)


def when_over_stand_ins(trigger: str, row: Row) -> str | None:
    """A query that takes the condition of a trigger over such a row; None: it has none."""
    statement = postgast.parse(trigger).stmts[0].stmt.create_trig_stmt
    if not statement.HasField("when_clause"):
        return None
    asked = postgast.parse("SELECT 1")
    asked.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(statement.when_clause)
    return condition_over_stand_ins(postgast.deparse(asked).removeprefix("SELECT "), row)


def condition_over_stand_ins(condition: str, row: Row) -> str:
    """A query that takes a condition over `old` and `new`."""
    stand_in = _stand_in(row)
    return f"SELECT 1 AS asked FROM ({stand_in}) AS old, ({stand_in}) AS new WHERE ({condition})"


def _replace(node: Message, rows: Mapping[Name, Row]) -> None:
    for _, found in node.ListFields():
        if isinstance(found, Message):
            _replace_one(found, rows)
        elif not isinstance(found, (str, bytes, int, float, bool)):
            for each in found:
                if isinstance(each, Message):
                    _replace_one(each, rows)


def _replace_one(node: Message, rows: Mapping[Name, Row]) -> None:
    if isinstance(node, pg.Node) and node.HasField("range_var"):
        named = node.range_var
        row = rows.get(Name(named.schemaname, named.relname))
        if row is not None:
            stand_in = pg.RangeSubselect(subquery=postgast.parse(_stand_in(row)).stmts[0].stmt)
            stand_in.alias.aliasname = named.alias.aliasname or named.relname
            stand_in.alias.colnames.extend(named.alias.colnames)
            node.range_subselect.CopyFrom(stand_in)
        return
    _replace(node, rows)


def _stand_in(row: Row) -> str:
    columns = [
        sql.SQL("CAST(NULL AS {}) AS {}").format(trusted(type_), sql.Identifier(name)) for name, type_ in row.items()
    ]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(columns)).as_string(None)
