"""SQL fragments of a spec: parsed with PostgreSQL's grammar, rewritten by their syntax tree, never by text.

A fragment names the columns of its table as the author sees them. What they are called at a given moment
(`new."_cf_..."` in a trigger, `t."email"` in a batch) is put in with `render`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, LiteralString, cast

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from psycopg import sql

    from crossfade.spec.syntax import ExpressionTree


class FragmentError(ValueError):
    """A fragment that is not one SQL expression.

    offset: which character of its text is wrong, from 0, without the white space around it; None = unknown.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class Expression:
    """One SQL expression over the columns of a row; raises FragmentError for anything else."""

    def __init__(self, text: str) -> None:
        # The grammar takes 50 ms to load: only where there is SQL to read.
        from crossfade.spec.syntax import ExpressionTree

        self.text = text.strip()
        self._tree: ExpressionTree = ExpressionTree.parse(self.text)
        self._columns: dict[str, frozenset[str]] = {}  # by table: planning asks some dozens of times

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[type[Expression], tuple[str]]:
        return Expression, (self.text,)  # the tree is the parser's memory: read again, not carried along

    @cached_property
    def references(self) -> frozenset[tuple[str, ...]]:
        """Every column reference, as its dotted parts; `*` stands for a star."""
        return self._tree.references()

    def columns(self, table: str) -> frozenset[str]:
        """The columns of `table` it reads: bare names outside sub-selects, `table.column` anywhere.

        In a sub-select that itself reads from `table`, the name means that one, as it does for PostgreSQL.
        """
        if table not in self._columns:
            self._columns[table] = frozenset(name for _, name in self._tree.own_columns(table))
        return self._columns[table]

    @cached_property
    def functions(self) -> frozenset[tuple[str, ...]]:
        """Names of the functions it calls, as dotted parts."""
        return self._tree.functions()

    @cached_property
    def nodes(self) -> frozenset[str]:
        """The kinds of syntax in it, by the parser's names; an operator with its sign: `A_Expr ||`."""
        return self._tree.nodes()

    @cached_property
    def is_column(self) -> str | None:
        """The column's name when the expression is nothing but a bare column."""
        return self._tree.bare_column()

    @cached_property
    def is_constant(self) -> bool:
        """It is a literal, maybe cast."""
        return self._tree.is_constant()

    def render(self, table: str, row: str | None, names: Mapping[str, str] | None = None) -> sql.Composable:
        """The expression in parentheses, its columns taken from `row` under the names of that moment.

        table: the table whose columns the fragment names.
        row: what stands before the dot: an alias, or `new` in a trigger. None: nothing, as a constraint wants it that
            its partitions take over.
        names: column as the author wrote it -> column as it is called now; the same where it is missing.
        """
        return trusted(f"({self._tree.rewritten(table, row, names or {})})")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema()
        scalars: list[CoreSchema | tuple[CoreSchema, str]] = [
            text,
            core_schema.int_schema(),
            core_schema.float_schema(),
            core_schema.bool_schema(),
        ]
        return core_schema.no_info_plain_validator_function(
            _expression,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=text),
            json_schema_input_schema=core_schema.union_schema(scalars),
        )


def _type(text: str) -> str:
    try:
        constant = Expression(f"NULL::{text}").is_constant
    except FragmentError:
        constant = False
    if not constant:
        raise ValueError("not a type by PostgreSQL's grammar, and nothing else stands here")
    return text


# Of a column, as SQL spells it; whether there is one of that name is asked when planning.
TypeName = Annotated[str, AfterValidator(_type)]


def trusted(text: str) -> sql.SQL:
    """SQL text that came out of a parser, the catalog or a stored plan, as something that can be composed.

    The one place where text becomes SQL: never for names or values, which are Identifier and Literal.
    """
    from psycopg import sql  # 100 ms, and reading a spec composes nothing

    return sql.SQL(cast(LiteralString, text))


def _expression(value: Any) -> Expression:
    """YAML's `default: 5` and `default: true` are SQL as well."""
    match value:
        case Expression():
            return value
        case bool():
            return Expression("true" if value else "false")
        case int() | float() if math.isfinite(value):
            return Expression(str(value))
        case str() if value.strip():
            return Expression(value)
        case _:
            raise ValueError("a SQL expression is text that is not empty")
