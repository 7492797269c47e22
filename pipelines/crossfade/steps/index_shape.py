"""What an index is over, read from its CREATE INDEX: to tell one that a plan meant from another of the same name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pg


@dataclass(frozen=True)
class Key:
    """columns: the one, or those that its expression reads; how the expression is spelled is PostgreSQL's affair."""

    columns: frozenset[str]
    descending: bool
    nulls_first: bool


@dataclass(frozen=True)
class IndexShape:
    """predicate: the columns it reads; None without one. Names, and whether it is built concurrently, do not count."""

    unique: bool
    nulls_distinct: bool
    method: str
    keys: tuple[Key, ...]
    included: tuple[str, ...]
    predicate: frozenset[str] | None

    @classmethod
    def of(cls, statement: str) -> IndexShape:
        """Of a CREATE INDEX as a plan has it, or as pg_get_indexdef prints it."""
        node = postgast.parse(statement).stmts[0].stmt.index_stmt
        return cls(
            unique=node.unique,
            nulls_distinct=not node.nulls_not_distinct,
            method=node.access_method,
            keys=tuple(_key(part.index_elem) for part in node.index_params),
            included=tuple(part.index_elem.name for part in node.index_including_params),
            predicate=_columns(node.where_clause) if node.HasField("where_clause") else None,
        )


def _key(element: pg.IndexElem) -> Key:
    descending = element.ordering == pg.SORTBY_DESC
    first = element.nulls_ordering == pg.SORTBY_NULLS_FIRST
    by_default = element.nulls_ordering == pg.SORTBY_NULLS_DEFAULT
    columns = frozenset((element.name,)) if element.name else _columns(element.expr)
    return Key(columns, descending, first or (by_default and descending))


def _columns(expression: Message) -> frozenset[str]:
    found: Iterable[pg.ColumnRef] = (node for _, node in postgast.walk(expression) if isinstance(node, pg.ColumnRef))
    return frozenset(ref.fields[-1].string.sval for ref in found if ref.fields[-1].HasField("string"))
