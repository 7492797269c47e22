"""The question which side of a pair an INSERT named: all that a trigger sees is a row with its defaults filled in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.steps.rows import Moment, Pair, Sides


def any_given(columns: tuple[str, ...]) -> sql.Composable:
    """Any of these columns of the new row is not NULL."""
    if not columns:
        return sql.SQL("false")
    return sql.SQL(" OR ").join(sql.SQL("new.{} IS NOT NULL").format(sql.Identifier(column)) for column in columns)


def old_given(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """An INSERT named an old column."""
    names = sides.old_names(moment)
    given: list[sql.Composable] = []
    for name in pair.old or tuple(pair.down):
        column, physical = sides.old_column(name), names.get(name, name)
        default = None if physical != name and sides.follows(name) else column.default  # lost when it was hidden
        if not column.identity and not column.generated:
            given.extend(is_named(physical, sides.spelled(pair, column.type, moment), default))
    return sql.SQL(" OR ").join(given) if given else sql.SQL("false")


def new_given(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """The same of a new column, which gets its default when it takes over."""
    names = sides.new_names(moment)
    given: list[sql.Composable] = []
    for column in pair.new:
        default = column.default if pair.turned(moment) else None
        type_ = sides.spelled(pair, column.type, moment)
        given.extend(is_named(names.get(column.name, column.name), type_, default))
    return sql.SQL(" OR ").join(given) if given else sql.SQL("false")


def is_named(column: str, type_: str, default: str | None, row: LiteralString = "new") -> Iterator[sql.Composable]:
    """The question whether an INSERT named the column: it is neither empty nor what its default gives.

    A default that is not a constant cannot be told from a given value, so it never counts as given: nextval gives
    another value each time, and now() another one here, where the time zone is UTC, than in the writer's session.
    """
    value = sql.SQL("{}.{}").format(sql.SQL(row), sql.Identifier(column))
    given = sql.SQL("{} IS NOT NULL").format(value)
    if default is None:
        yield given
    elif is_constant(default):
        yield sql.SQL("({} AND ROW({})::record *<> ROW(CAST({} AS {}))::record)").format(
            given, value, trusted(default), trusted(type_)
        )


def is_constant(default: str) -> bool:
    """Every row gets the same of the default."""
    expression = Expression(default)
    return not expression.functions and "SQLValueFunction" not in expression.nodes
