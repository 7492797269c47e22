"""The syntax tree of one SQL expression by PostgreSQL's grammar: what it reads, and how it is rewritten.

The only module that knows the parser; imported when the first fragment is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pg

from crossfade.spec.fragment import FragmentError

_BEFORE = "SELECT ("
# What the SELECT of an expression in parentheses consists of; `a) GROUP BY (b` would add to it.
_PARTS_OF_SELECT = {"target_list", "limit_option", "op"}
_LITERAL_PARTS = (pg.String, pg.Integer, pg.Float, pg.Boolean, pg.BitString)


@dataclass(frozen=True)
class ExpressionTree:
    """An expression as the parser's tree of `SELECT (expression)`."""

    _tree: pg.ParseResult

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises FragmentError when the text is not exactly one expression."""
        # In parentheses a second statement, a second column or an alias is a syntax error; the line break
        # ends a comment that would swallow the parenthesis.
        try:
            tree = postgast.parse(f"{_BEFORE}{text}\n)")
        except postgast.PgQueryError as error:
            raise _syntax_error(text, error) from None
        select = tree.stmts[0].stmt.select_stmt
        if len(tree.stmts) != 1 or {field.name for field, _ in select.ListFields()} != _PARTS_OF_SELECT:
            raise FragmentError("a fragment is one expression, not a statement or a part of one")
        if len(select.target_list) != 1 or select.target_list[0].res_target.val.HasField("row_expr"):
            raise FragmentError("a fragment is one value, not a row of several")
        for _, node in postgast.walk(tree):
            if isinstance(node, pg.ParamRef):
                raise FragmentError("a fragment has no parameters", _character(text, node.location))
            if isinstance(node, pg.SetToDefault):
                raise FragmentError("DEFAULT is no value here", _character(text, node.location))
        return cls(tree)

    def references(self) -> frozenset[tuple[str, ...]]:
        """Every column reference, as its dotted parts; `*` stands for a star."""
        return frozenset(_parts(node) for _, node in postgast.walk(self._tree) if isinstance(node, pg.ColumnRef))

    def functions(self) -> frozenset[tuple[str, ...]]:
        """Names of the functions it calls, as dotted parts."""
        return frozenset(
            tuple(part.string.sval for part in node.funcname)
            for _, node in postgast.walk(self._tree)
            if isinstance(node, pg.FuncCall)
        )

    def nodes(self) -> frozenset[str]:
        """The parser's names of its nodes, an operator's with its sign; bare strings and numbers left out."""
        return frozenset(
            _node_name(node) for _, node in postgast.walk(self._value()) if not isinstance(node, _LITERAL_PARTS)
        )

    def own_columns(self, table: str) -> Iterator[tuple[pg.ColumnRef, str]]:
        """The references to columns of the row, each with the column's name."""
        return _own_columns(self._tree, table, inside=False)

    def bare_column(self) -> str | None:
        """The column's name when the expression is nothing but a bare column."""
        value = self._value()
        parts = _parts(value.column_ref) if value.HasField("column_ref") else ()
        return parts[0] if len(parts) == 1 else None

    def is_constant(self) -> bool:
        """It is a literal, maybe cast."""
        value = self._value()
        while value.HasField("type_cast"):
            value = value.type_cast.arg
        return value.HasField("a_const")

    def rewritten(self, table: str, row: str | None, names: Mapping[str, str]) -> str:
        """The text with each column of `table` as `row.name`, or bare, under the name that `names` has for it."""
        tree = pg.ParseResult()
        tree.CopyFrom(self._tree)
        for node, name in _own_columns(tree, table, inside=False):
            del node.fields[:]
            for part in (row, names.get(name, name)):
                if part is not None:
                    node.fields.add().string.sval = part
        return postgast.deparse(tree).removeprefix("SELECT ")

    def _value(self) -> pg.Node:
        return self._tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val


def _own_columns(node: Message, table: str, inside: bool) -> Iterator[tuple[pg.ColumnRef, str]]:
    """`inside`: `node` stands in a sub-select, where a bare name may be a column of its own tables."""
    if isinstance(node, pg.ColumnRef):
        match _parts(node):
            case (name,) if not inside and name != "*":
                yield node, name
            case (qualifier, name) if qualifier == table and name != "*":
                yield node, name
            case _:
                pass
        return
    if inside and isinstance(node, pg.SelectStmt) and table in _bound_names(node.from_clause):
        return
    inside = inside or isinstance(node, pg.SubLink)
    for _, value in node.ListFields():
        if isinstance(value, Message):
            yield from _own_columns(value, table, inside)
        elif not isinstance(value, (str, bytes, int, float, bool)):
            for item in value:
                if isinstance(item, Message):
                    yield from _own_columns(item, table, inside)


def _bound_names(sources: Iterable[pg.Node]) -> Iterator[str]:
    """The names a FROM clause gives its tables: inside, they mean nothing from outside."""
    for source in map(postgast.unwrap_node, sources):
        match source:
            case pg.RangeVar():
                yield source.alias.aliasname or source.relname
            case pg.JoinExpr():
                yield source.alias.aliasname
                yield from _bound_names((source.larg, source.rarg))
            case pg.RangeTableSample():
                yield from _bound_names((source.relation,))
            case pg.RangeSubselect() | pg.RangeFunction() | pg.RangeTableFunc():
                yield source.alias.aliasname
            case _:
                pass


def _node_name(node: Message) -> str:
    name = node.DESCRIPTOR.name
    if not isinstance(node, pg.A_Expr):
        return name
    # `a = ANY (b)`, IN, LIKE, BETWEEN are A_Expr with an operator as well.
    plain = node.kind == pg.AEXPR_OP
    sign = ".".join(part.string.sval for part in node.name)
    return f"{name if plain else pg.A_Expr_Kind.Name(node.kind)} {sign}"


def _parts(node: pg.ColumnRef) -> tuple[str, ...]:
    return tuple(part.string.sval if part.HasField("string") else "*" for part in node.fields)


def _syntax_error(text: str, error: postgast.PgQueryError) -> FragmentError:
    offset = error.cursorpos - 1 - len(_BEFORE)
    if offset < len(text):
        message = error.message.replace("\n)", "")  # a quote left open runs on over what we put after it
        return FragmentError(f"not a SQL expression: {message}", offset if error.cursorpos else None)
    # The parser stumbled over our closing parenthesis or what follows it.
    if _is_sql(_BEFORE + text):
        return FragmentError("not a SQL expression: it closes a parenthesis that it did not open", len(text) - 1)
    return FragmentError("not a SQL expression: it ends too early", len(text))


def _is_sql(text: str) -> bool:
    try:
        postgast.parse(text)
    except postgast.PgQueryError:
        return False
    return True


def _character(text: str, location: int) -> int:
    """The parser counts bytes in its trees, though characters in its errors."""
    return len(f"{_BEFORE}{text}".encode()[:location].decode()) - len(_BEFORE)
