"""The questions whether both sides of a row agree: new = up(old), or old = down(new), for every pair."""

from __future__ import annotations

import re

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.plpgsql import commented, quoted
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
    """Pairs whose agreement can be asked of a row."""
    return tuple(pair for pair in sides.pairs if pair.comparable)


def asks_by_function(sides: Sides) -> bool:
    """A mapping may fail on a row that came from the other side, so it is asked where the failure can be caught."""
    return any(not pair.total for pair in comparable(sides))


def agrees_name(sides: Sides) -> sql.Identifier:
    return sql.Identifier("crossfade", sides.own("agrees"))


def agrees_signature(sides: Sides) -> sql.Composable:
    return sql.SQL("{}({}, integer)").format(agrees_name(sides), sides.sql)


def made_by_up(sides: Sides, pair: Pair, moment: Moment, row: str) -> sql.Composable:
    """A boolean SQL expression, which may fail: the row's new side is what `up` makes of its old one."""
    names, types = sides.new_names(moment), {column.name: column.type for column in pair.new}
    return sql.SQL(" AND ").join(
        _is(row, names.get(column, column), sides.up(pair, column, row, moment), _spelled(sides, pair, type_, moment))
        for column, type_ in ((column, types[column]) for column in pair.up)
    )


def made_by_down(sides: Sides, pair: Pair, moment: Moment, row: str) -> sql.Composable:
    """A boolean SQL expression, which may fail: the row's old side is what `down` makes of its new one."""
    names = sides.old_names(moment)
    return sql.SQL(" AND ").join(
        _is(row, names.get(column, column), sides.down(pair, column, row, moment), _spelled(sides, pair, type_, moment))
        for column, type_ in ((column, sides.old_column(column).type) for column in pair.down)
    )


def _is(row: str, column: str, value: sql.Composable, type_: sql.Composable) -> sql.Composable:
    return sql.SQL("ROW({}.{})::record *= ROW(CAST({} AS {}))::record").format(
        sql.Identifier(row), sql.Identifier(column), value, type_
    )


def _spelled(sides: Sides, pair: Pair, type_: str, moment: Moment) -> sql.Composable:
    """The type without the length at which a cast cuts a value off: what is left of it would agree."""
    spelled = sides.spelled(pair, type_, moment)
    return trusted(re.sub(r"^(character varying|varchar|bit varying|varbit)\(\d+\)", r"\1", spelled))


def _inline(sides: Sides, pair: Pair, moment: Moment, row: str) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(" OR ").join(_agreements(sides, pair, moment, row)))


def _agreements(sides: Sides, pair: Pair, moment: Moment, row: str) -> tuple[sql.Composable, sql.Composable]:
    """Either of which is agreement."""
    return made_by_up(sides, pair, moment, row), made_by_down(sides, pair, moment, row)


def agrees_function(sides: Sides, moment: Moment) -> sql.Composable:
    """Asks all pairs, or the one of that number.

    Whoever asks has the settings that give a fragment its meaning: our sessions do, and the trigger functions. To set
    them anew for every row of a table would take three times as long as the question.
    """
    checks: list[sql.Composable] = []
    for number, pair in enumerate(comparable(sides)):
        attempts = [  # the second one is asked where the first said no: each is a subtransaction for every row
            sql.SQL("    IF NOT agree THEN BEGIN agree := ({});\n    EXCEPTION WHEN {} THEN NULL; END; END IF;").format(
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
        " LANGUAGE plpgsql STABLE AS {}"
    ).format(agrees_name(sides), sides.sql, quoted(body))
