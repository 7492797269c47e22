"""What nodes of the parser's tree say: names, mostly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from postgast import pg_query_pb2 as pg


def parts_of(reference: pg.ColumnRef) -> list[str]:
    return [part.string.sval for part in reference.fields if part.HasField("string")]


def strings(nodes: Iterable[pg.Node]) -> list[str]:
    return [node.string.sval for node in nodes]


def last(nodes: Sequence[pg.Node]) -> str:
    return nodes[-1].string.sval if nodes else ""


def calls(node: pg.RangeFunction) -> Iterator[pg.Node]:
    for listed in node.functions:
        yield from (each for each in listed.list.items if each.HasField("func_call"))


def bare(node: pg.Node) -> str | None:
    parts = parts_of(node.column_ref) if node.HasField("column_ref") else []
    return parts[0] if len(parts) == len(node.column_ref.fields) == 1 else None


def given_name(value: pg.Node) -> str:
    """The name that PostgreSQL gives to an unnamed column, where it is one that a query around it may say."""
    match value.WhichOneof("node"):
        case "column_ref":
            return (parts_of(value.column_ref) or [""])[-1]
        case "func_call":
            return last(value.func_call.funcname)
        case "type_cast":
            return given_name(value.type_cast.arg) or last(value.type_cast.type_name.names)
        case "a_indirection":
            return next(
                (part.string.sval for part in reversed(value.a_indirection.indirection) if part.string.sval), ""
            )
        case "coalesce_expr":
            return "coalesce"
        case "case_expr":
            return given_name(value.case_expr.defresult) or "case"
        case _:
            return ""
