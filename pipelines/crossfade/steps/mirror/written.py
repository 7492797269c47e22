"""What the triggers of a mirror do with a row that was written, in PL/pgSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import LiteralString

from crossfade.composing import sql
from crossfade.steps.compose import Values, names, record
from crossfade.steps.given import is_named
from crossfade.steps.kept import server_failures, trigger_function
from crossfade.steps.mirror.notes import all_columns
from crossfade.steps.mirror.tables import PLACEHOLDER, THEIRS, Half, Mirror, Moment, Way


def functions(mirror: Mirror, moment: Moment) -> Iterator[sql.Composable]:
    """Of the triggers on both tables."""
    for way in (Way(mirror, "left"), Way(mirror, "right")):
        yield from trigger_function(mirror, way.side, _written(way, moment), " told text[];")
        if mirror.makes:
            yield from trigger_function(mirror, f"{way.side}_all", _emptied(way), path=mirror.search_path)
    if mirror.makes:
        yield from trigger_function(mirror, "before", _instead_of_placeholder(mirror))


def _written(way: Way, moment: Moment) -> sql.Composable:
    """A row was written: carry it; what an INSERT did not name comes from the other row, if there is one."""
    mirror = way.mirror
    if moment == "turned" and way.side == "left":
        return sql.SQL("  PERFORM {};\n  RETURN NULL;").format(
            Way(mirror, "right").carried_by(way, all_columns(mirror))
        )
    alone = moment == "turned"
    insert = all_columns(mirror) if alone else _listed(mirror, _given(way))
    update = all_columns(mirror) if alone else _listed(mirror, _changed(way.source.columns))
    carry = sql.SQL("    PERFORM {};").format(way.carried("new", sql.SQL("told")))
    if not alone:
        rest = sql.SQL("ARRAY(SELECT c FROM pg_catalog.unnest({}) AS every (c) WHERE c <> ALL (told))").format(
            all_columns(mirror)
        )
        carry = sql.SQL("    IF {} THEN PERFORM {}; END IF;").format(
            way.carried("new", sql.SQL("told")), way.back.carried_by(way, rest)
        )
    return sql.SQL(
        """  IF TG_OP = 'DELETE' THEN
    PERFORM {gone};
  ELSIF TG_OP = 'UPDATE' AND {moved} THEN
    PERFORM {gone};
    PERFORM {whole};
  ELSIF TG_OP = 'UPDATE' THEN
    told := {update};
    PERFORM {carry_update};
  ELSE
    told := {insert};
{carry}
  END IF;
  RETURN NULL;"""
    ).format(
        gone=way.carried("old", all_columns(mirror)),
        moved=_moved(way.source),
        whole=way.carried("new", all_columns(mirror)),
        update=update,
        carry_update=way.carried("new", sql.SQL("told")),
        insert=insert,
        carry=carry,
    )


def _listed(mirror: Mirror, questions: Iterable[sql.Composable]) -> sql.Composable:
    """The columns, by their right names, whose question is answered with yes."""
    cases = [
        sql.SQL("CASE WHEN {} THEN {} END").format(question, sql.Literal(label))
        for question, label in zip(questions, mirror.right.columns, strict=True)
    ]
    return sql.SQL("pg_catalog.array_remove(CAST(ARRAY[{}] AS text[]), NULL)").format(sql.SQL(", ").join(cases))


def _given(way: Way) -> Iterator[sql.Composable]:
    for column, name in zip(way.mirror.given, way.source.columns, strict=True):
        asked = next(is_named(name, column.type, column.default), None)
        if asked is None and way.side == "right" and way.mirror.makes:
            # The new version's own row: of the left one no more is known than that a default gave another value.
            asked = sql.SQL("new.{} IS NOT NULL").format(sql.Identifier(name))
        yield asked or sql.SQL("false")


def holds_something(mirror: Mirror, left: LiteralString) -> sql.Composable:
    """The left row must have a right one; of one that gave nothing the new version may be about to make that."""
    given = zip(mirror.left.columns, mirror.given, strict=True)
    asked = [each for name, column in given for each in is_named(name, column.type, column.default, left)]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(asked)) if asked else sql.SQL("false")


def _changed(columns: tuple[str, ...]) -> Iterator[sql.Composable]:
    return (sql.SQL("{} *<> {}").format(record((column,), "new"), record((column,), "old")) for column in columns)


def _moved(half: Half) -> sql.Composable:
    return sql.SQL("{} *<> {}").format(record(half.key, "new"), record(half.key, "old"))


def _emptied(way: Way) -> sql.Composable:
    """TRUNCATE: rows that others hold stay as they are, and are found when both sides are compared."""
    target = way.target
    rows = sql.SQL("(SELECT {} FROM {} FOR UPDATE SKIP LOCKED)").format(names(target.key), target.sql)
    key = sql.SQL("({})").format(names(target.key))
    if way.side == "left":
        act = sql.SQL("DELETE FROM {} WHERE {} IN {};").format(target.sql, key, rows)
    else:
        values = [sql.SQL("{} = DEFAULT").format(sql.Identifier(column)) for column in target.columns]
        act = sql.SQL("UPDATE {} SET {} WHERE {} IN {};").format(target.sql, sql.SQL(", ").join(values), key, rows)
    return sql.SQL(
        """  BEGIN
    {}
  EXCEPTION WHEN others THEN
    IF pg_catalog.left(SQLSTATE, 2) IN {} THEN RAISE; END IF;
  END;
  RETURN NULL;"""
    ).format(act, server_failures())


def _instead_of_placeholder(mirror: Mirror) -> sql.Composable:
    """The new version makes both rows itself: its own takes the place of the one made for it."""
    way = Way(mirror, "right")
    key: Values = [sql.Identifier("new", name) for name in mirror.right.key]
    return sql.SQL(
        """  IF TG_OP = 'INSERT' THEN
    DELETE FROM {right} AS t WHERE {t} AND t.{marker} = {placeholder};
  ELSE
    new.{marker} := {theirs};
  END IF;
  RETURN new;"""
    ).format(
        right=mirror.right.sql,
        t=way.is_row(mirror.right, "t", key),
        marker=sql.Identifier(mirror.marker),
        placeholder=sql.Literal(PLACEHOLDER),
        theirs=sql.Literal(THEIRS),
    )
