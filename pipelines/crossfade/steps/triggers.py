"""The triggers that keep a table's pairs in step: when each fires, and what it tells the function of who wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from crossfade.composing import sql
from crossfade.steps.rows import Moment, Sides


@dataclass(frozen=True)
class Trigger:
    """arguments: what its function finds in TG_ARGV."""

    name: str
    event: sql.Composable
    when: sql.Composable
    arguments: tuple[str, ...] = ()


def triggers(sides: Sides, moment: Moment) -> Iterator[Trigger]:
    """All of a table, for the moment."""
    marker = sql.Identifier(sides.marker)
    inserts = sql.SQL("BEFORE INSERT")
    inserted = sql.SQL("new.{} IS NULL").format(marker)
    if sides.schemas is None:
        yield Trigger(_insert_trigger(sides), inserts, inserted)
    else:
        # Asked here, for within the function search_path is the function's own.
        is_new = sides.schemas.writer_is_new(turned=moment != "side by side")
        given = sql.SQL("{} AND {}{}")
        yield Trigger(_insert_trigger(sides), inserts, given.format(inserted, sql.SQL("NOT "), is_new), ("old",))
        yield Trigger(
            sides.own("new", sides.table.name.name), inserts, given.format(inserted, sql.SQL(""), is_new), ("new",)
        )
        yield from _emptying_triggers(sides, moment)
    yield Trigger(
        _update_trigger(sides),
        sql.SQL("BEFORE UPDATE"),
        # The backfill sets the marker, an application never does: its writes pass by unseen.
        sql.SQL("new.{m} IS NOT TRUE OR (new.{m} IS NOT DISTINCT FROM old.{m} AND ({changed}))").format(
            m=marker, changed=_any_changed(sides, moment)
        ),
    )


def _emptying_triggers(sides: Sides, moment: Moment) -> Iterator[Trigger]:
    """The new version sees nothing in a row that is not filled yet, and makes it NULL: no byte changes. That the
    statement names the column tells it. Named so that they fire before the one for all updates.
    """
    names, marker = sides.new_names(moment), sql.Identifier(sides.marker)
    for number in emptied(sides):
        (new,) = sides.pairs[number].new
        column = names.get(new.name, new.name)
        yield Trigger(
            sides.own("nul", str(number), sides.table.name.name),
            sql.SQL("BEFORE UPDATE OF {}").format(sql.Identifier(column)),
            sql.SQL("new.{m} IS NULL AND old.{m} IS NULL AND NOT ({changed})").format(
                m=marker, changed=changed((column,))
            ),
            (f"new {number}",),
        )


def emptied(sides: Sides) -> tuple[int, ...]:
    """The pairs, by number, of which each version sees one side only; of several new columns nothing tells which."""
    return tuple(
        n for n, pair in enumerate(sides.pairs) if sides.schemas and pair.old and pair.up and len(pair.new) == 1
    )


def trigger_names(sides: Sides) -> tuple[str, ...]:
    """The same at every moment."""
    return tuple(trigger.name for trigger in triggers(sides, "side by side"))


def _insert_trigger(sides: Sides) -> str:
    return sides.own("ins", sides.table.name.name)


def _update_trigger(sides: Sides) -> str:
    return sides.own("upd", sides.table.name.name)


def changed(columns: tuple[str, ...]) -> sql.Composable:
    """The bytes of any of the columns differ between old and new row (also where the type has no equality).

    By the function and not its operator `*<>`: that needs casts of both rows, which pg_dump leaves out of a trigger's
    WHEN, and its dump could not be restored.
    """
    if not columns:
        return sql.SQL("false")
    return sql.SQL("pg_catalog.record_image_ne({}, {})").format(_row(columns, "new"), _row(columns, "old"))


def _row(columns: Iterable[str], of: Literal["new", "old"]) -> sql.Composable:
    return sql.SQL("ROW({})").format(
        sql.SQL(", ").join(sql.SQL("{}.{}").format(sql.SQL(of), sql.Identifier(column)) for column in columns)
    )


def _any_changed(sides: Sides, moment: Moment) -> sql.Composable:
    columns = sorted(
        {
            column
            for pair in sides.pairs
            for column in (
                *(() if sides.turned(pair, moment) else sides.old_side(pair, moment)),
                *sides.down_reads(pair, moment),
                *sides.beside(pair, moment),
            )
        }
    )
    return changed(tuple(columns))
