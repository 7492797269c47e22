"""The question whether both sides of a row agree: new = up(old), or old = down(new), for every pair."""

from __future__ import annotations

import re

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.plpgsql import commented, quoted, settings
from crossfade.steps.rows import Moment, Pair, Sides

# A domain's rule is an integrity constraint.
_ABOUT_THE_VALUE = "data_exception OR integrity_constraint_violation OR raise_exception"


def agrees(sides: Sides, moment: Moment, row: str) -> sql.Composable:
    """A boolean SQL expression: both sides of every pair of the row agree, one way or the other."""
    if asks_by_function(sides):
        # A partition's row has a type of its own.
        return sql.SQL("{}(CAST({}.* AS {}))").format(agrees_name(sides), sql.Identifier(row), sides.sql)
    questions = [_inline(sides, pair, moment, row) for pair in comparable(sides)]
    return sql.SQL(" AND ").join(questions) if questions else sql.SQL("true")


def pair_agrees(sides: Sides, pair: Pair, moment: Moment, row: str) -> sql.Composable:
    """The same of one comparable pair."""
    if asks_by_function(sides):
        return sql.SQL("{}(CAST({}.* AS {}), {})").format(
            agrees_name(sides), sql.Identifier(row), sides.sql, sql.Literal(comparable(sides).index(pair))
        )
    return _inline(sides, pair, moment, row)


def comparable(sides: Sides) -> tuple[Pair, ...]:
    """Pairs whose agreement can be asked of a row: `up` gives the same again, and the old side follows the new one.

    Where it does not, what the new version wrote is its own affair, and nothing tells its rows from the others.
    """
    return tuple(pair for pair in sides.pairs if pair.up and pair.down and pair.repeatable)


def asks_by_function(sides: Sides) -> bool:
    """A mapping may fail on a row that came from the other side, so it is asked where the failure can be caught."""
    return any(not pair.total for pair in comparable(sides))


def agrees_name(sides: Sides) -> sql.Identifier:
    return sql.Identifier("crossfade", sides.own("agrees"))


def agrees_signature(sides: Sides) -> sql.Composable:
    return sql.SQL("{}({}, integer)").format(agrees_name(sides), sides.sql)


def _inline(sides: Sides, pair: Pair, moment: Moment, row: str) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(" OR ").join(_agreements(sides, pair, moment, row)))


def _agreements(sides: Sides, pair: Pair, moment: Moment, row: str) -> list[sql.Composable]:
    """The questions `new = up(old)` and `old = down(new)`, either of which is agreement."""
    new_names, old_names = sides.new_names(moment), sides.old_names(moment)
    types = {column.name: column.type for column in pair.new}
    up = [
        sql.SQL("ROW({r}.{c})::record *= ROW(CAST({e} AS {t}))::record").format(
            r=sql.Identifier(row),
            c=sql.Identifier(new_names.get(column, column)),
            e=sides.up(pair, column, row, moment),
            t=trusted(_whole(sides.spelled(pair, types[column], moment))),
        )
        for column in pair.up
    ]
    down = [
        sql.SQL("ROW({r}.{c})::record *= ROW(CAST({e} AS {t}))::record").format(
            r=sql.Identifier(row),
            c=sql.Identifier(old_names.get(column, column)),
            e=sides.down(pair, column, row, moment),
            t=trusted(_whole(sides.spelled(pair, sides.old_column(column).type, moment))),
        )
        for column in pair.down
    ]
    return [sql.SQL(" AND ").join(questions) for questions in (up, down) if questions]


def _whole(type_: str) -> str:
    """The type without the length at which a cast cuts a value off: what is left of it would agree."""
    return re.sub(r"^(character varying|varchar|bit varying|varbit)\(\d+\)", r"\1", type_)


def agrees_function(sides: Sides, moment: Moment) -> sql.Composable:
    """Asks all pairs, or the one of that number."""
    checks: list[sql.Composable] = []
    for number, pair in enumerate(comparable(sides)):
        attempts = [
            sql.SQL("    BEGIN agree := agree OR ({});\n    EXCEPTION WHEN {} THEN NULL; END;").format(
                question, sql.SQL(_ABOUT_THE_VALUE)
            )
            for question in _agreements(sides, pair, moment, "r")
        ]
        checks.append(
            sql.SQL(
                """  -- {}
  IF coalesce(of_pair, {number}) = {number} THEN
    agree := false;
{}
    IF NOT agree THEN RETURN false; END IF;
  END IF;"""
            ).format(trusted(commented(pair.title)), sql.SQL("\n").join(attempts), number=sql.Literal(number))
        )
    body = sql.SQL("\nDECLARE agree boolean;\nBEGIN\n{}\n  RETURN true;\nEND\n").format(sql.SQL("\n").join(checks))
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {}(r {}, of_pair integer DEFAULT NULL) RETURNS boolean"
        " LANGUAGE plpgsql STABLE {} AS {}"
    ).format(agrees_name(sides), sides.sql, settings(sides), quoted(body))
