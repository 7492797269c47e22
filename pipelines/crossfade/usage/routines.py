"""The bodies of functions that statements call, in SQL and PL/pgSQL: which queries stand in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import postgast
from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import Function
from crossfade.usage.relations import Relations
from crossfade.usage.words import words_of

_STATEMENT, _EXPRESSION = 0, 2  # PLpgSQL_expr.parseMode; the others are assignments
_ASSIGNED = re.compile(r"^[^:=]*?:?=")
_FIELD_ASSIGNED = re.compile(r"\b([a-z_]\w*)\.([a-z_]\w*)(\s*:=)", re.IGNORECASE)
_IN_PARAMETERS = (pg.FUNC_PARAM_IN, pg.FUNC_PARAM_INOUT, pg.FUNC_PARAM_VARIADIC, pg.FUNC_PARAM_DEFAULT)


@dataclass(frozen=True)
class Body:
    """What stands in a function.

    rows: variables that hold a row of a relation, by name, with the type's name. variables: all names of its own.
    said: words of what cannot be walked, such as dynamic SQL or another language.
    """

    statements: tuple[pg.Node, ...] = ()
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
    variables: frozenset[str] = frozenset()
    said: frozenset[str] = frozenset()
    fewest: int = 0
    most: int = 0
    variadic: bool = field(default=False)

    def takes(self, arguments: int) -> bool:
        return self.fewest <= arguments and (arguments <= self.most or self.variadic)


@lru_cache(maxsize=2048)
def body_of(function: Function) -> Body:
    """The body, parsed once."""
    try:
        create = postgast.parse(function.definition).stmts[0].stmt.create_function_stmt
    except (postgast.PgQueryError, IndexError):
        return Body(said=words_of(function.body), variadic=True)
    parameters = [each.function_parameter for each in create.parameters]
    taken = [each for each in parameters if each.mode in _IN_PARAMETERS]
    if create.is_procedure:
        taken = parameters  # CALL gives something for OUT parameters, too
    rows = {each.name: tuple(part.string.sval for part in each.arg_type.names) for each in parameters if each.name}
    statements, more_rows, variables, said = _inside(function, create)
    return Body(
        statements=statements,
        rows=tuple((rows | more_rows).items()),
        variables=variables | rows.keys(),
        said=said,
        fewest=sum(not each.HasField("defexpr") for each in taken if each.mode != pg.FUNC_PARAM_VARIADIC),
        most=len(taken),
        variadic=any(each.mode == pg.FUNC_PARAM_VARIADIC for each in taken),
    )


_Inside = tuple[tuple[pg.Node, ...], dict[str, tuple[str, ...]], frozenset[str], frozenset[str]]


def _inside(function: Function, create: pg.CreateFunctionStmt) -> _Inside:
    if create.HasField("sql_body"):
        return tuple(_standard(create.sql_body)), {}, frozenset(), frozenset()
    try:
        match function.language:
            case "sql":
                return tuple(each.stmt for each in postgast.parse(function.body).stmts), {}, frozenset(), frozenset()
            case "plpgsql":
                return _plpgsql(function)
            case "c" | "internal":
                return (), {}, frozenset(), frozenset()
            case _:
                return (), {}, frozenset(), words_of(function.body)
    except postgast.PgQueryError:
        return (), {}, frozenset(), words_of(function.body)


def _standard(body: pg.Node) -> Iterator[pg.Node]:
    """BEGIN ATOMIC ... END, or RETURN."""
    match body.WhichOneof("node"):
        case "list":
            for each in body.list.items:
                yield from _standard(each)
        case "return_stmt":
            yield _selected(body.return_stmt.returnval)
        case _:
            yield body


def _plpgsql(function: Function) -> _Inside:
    statements: list[pg.Node] = []
    rows: dict[str, tuple[str, ...]] = {}
    variables: set[str] = set()
    said: set[str] = set()
    # The parser knows no fields of a row's variable where one is assigned: it is given the variable alone.
    for row, member, _ in _FIELD_ASSIGNED.findall(function.body):
        statements += _parsed(f"{row}.{member}", _EXPRESSION)
    parsed = postgast.parse_plpgsql(_FIELD_ASSIGNED.sub(r"\1\3", function.definition))
    for kind, value in _entries(parsed):
        if kind == "PLpgSQL_expr":
            statements += _parsed(str(value["query"]), int(value["parseMode"]))
        elif kind in ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors") or "dynquery" in value:
            said |= words_of(function.body)
        elif (name := str(value.get("refname", ""))) and kind in ("PLpgSQL_var", "PLpgSQL_rec"):
            variables.add(name)
            if (type_ := _declared_type(name, function.body)) is not None:
                rows[name] = type_
    return tuple(statements), rows, frozenset(variables), frozenset(said)


def _declared_type(variable: str, body: str) -> tuple[str, ...] | None:
    """The type's name, which the parser gives for none that is a relation's."""
    behind = r"(?:(\w+)\.)?(\w+)\s*(?:%rowtype)?\s*(?:;|:=|=|not\b|default\b)"
    found = re.search(rf"\b{re.escape(variable)}\s+{behind}", body, re.IGNORECASE)
    return tuple(part.lower() for part in found.groups() if part) if found is not None else None


def _parsed(query: str, mode: int) -> list[pg.Node]:
    if mode == _STATEMENT:
        return [each.stmt for each in postgast.parse(query).stmts]
    expression = query if mode == _EXPRESSION else _ASSIGNED.sub("", query, count=1)
    return [each.stmt for each in postgast.parse(f"SELECT {expression}").stmts]


def _entries(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every named node of what the PL/pgSQL parser gives."""
    if isinstance(value, dict):
        for key, inner in cast(dict[str, Any], value).items():
            if isinstance(inner, dict) and key.startswith("PLpgSQL_"):
                yield key, cast(dict[str, Any], inner)
            yield from _entries(inner)
    elif isinstance(value, list):
        for each in cast(list[Any], value):
            yield from _entries(each)


def _selected(value: pg.Node) -> pg.Node:
    node = pg.Node()
    node.select_stmt.target_list.add().res_target.val.CopyFrom(value)
    return node


def called(relations: Relations, parts: tuple[str, ...], arguments: int) -> Iterator[tuple[Function, Body]]:
    """Functions with a body that a call of so many arguments may mean."""
    for function in relations.functions(parts):
        body = body_of(function)
        if body.takes(arguments):
            yield function, body
