"""Triggers that count who still writes a column which retire hides.

They fire only where the client names the column: an UPDATE that sets it, an INSERT that gives it something. What the
sync trigger gives it is no write of a client, and fires neither: it assigns to the row, and fires after the one here.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.model import Column
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import lock
from crossfade.steps.given import is_constant
from crossfade.steps.rows import Sides
from crossfade.steps.step import EXPAND, Ddl


def steps(sides: Sides) -> Iterator[Ddl]:
    """One, where the migration counts and the table has a column to count for."""
    columns = counted(sides)
    if not columns:
        return
    said = ", ".join(f"{sides.relation}.{name}" for name in columns)
    yield Ddl(
        id=sides.id("writes", "count"),
        leg=EXPAND,
        database=sides.database,
        title=f"count who writes {said} (triggers)",
        locks=lock(sides.relation, "SHARE ROW EXCLUSIVE"),
        statements=(*begin(sides),),
        undo=(
            Ddl(
                id=sides.id("writes", "count", "undo"),
                leg=EXPAND,
                database=sides.database,
                title=f"count no more who writes {said}",
                locks=lock(sides.relation, "ACCESS EXCLUSIVE"),
                statements=(*end(sides),),
            ),
        ),
        undo_title="drop the triggers",
    )


def counted(sides: Sides) -> tuple[str, ...]:
    """Columns that bear their own name until retire and that only clients write.

    A name that swaps means the new column after cutover; a mirror's own triggers write its columns; and by the views of
    versions everybody writes a table's columns.
    """
    if not sides.counts_writes or sides.schemas is not None:
        return ()
    return tuple(
        name
        for pair in sides.pairs
        if not pair.swap
        for name in pair.old
        if not sides.is_mirrored(name) and not sides.old_column(name).generated
    )


def begin(sides: Sides) -> Iterator[str]:
    """Statements that make the triggers, for as long as the columns bear their own names."""
    for name in counted(sides):
        arguments = sql.SQL(", ").join(
            map(sql.Literal, (sides.migration, str(sides.table.name), name, _name(sides, "cnt", name)[-8:]))
        )
        made = sql.SQL("CREATE OR REPLACE TRIGGER {} {} ON {} FOR EACH {} EXECUTE FUNCTION crossfade.count_write({})")
        column = sql.Identifier(name)
        if (given := _given(sides.old_column(name))) is not None:
            row = sql.SQL("ROW WHEN ({})").format(given)
            inserts = sql.Identifier(_name(sides, "cnt", name)), sql.SQL("BEFORE INSERT"), sides.sql, row, arguments
            yield made.format(*inserts).as_string(None)
        event, statement = sql.SQL("AFTER UPDATE OF {}").format(column), sql.SQL("STATEMENT")
        updates = sql.Identifier(_name(sides, "cnu", name)), event, sides.sql, statement, arguments
        yield made.format(*updates).as_string(None)


def end(sides: Sides) -> Iterator[str]:
    """Statements that take the triggers away, before the columns they name go."""
    for name in counted(sides):
        for purpose in ("cnt", "cnu"):
            drop = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}")
            yield drop.format(sql.Identifier(_name(sides, purpose, name)), sides.sql).as_string(None)


def _name(sides: Sides, purpose: str, column: str) -> str:
    """Triggers fire in the order of their names: as long as those of the sync, and cut alike, `cnt` is before `ins`."""
    return sides.own(purpose, column, sides.table.name.name)


def _given(column: Column) -> sql.Composable | None:
    """An INSERT gave the column something: neither NULL nor its default. None: nothing tells it.

    Bytes are compared by a function and not `*<>`, whose casts pg_dump leaves out of a trigger's WHEN.
    """
    value = sql.SQL("new.{}").format(sql.Identifier(column.name))
    if column.identity or (column.default is not None and not is_constant(column.default)):
        return None
    given = sql.SQL("{} IS NOT NULL").format(value)
    if column.default is None:
        return given
    default = sql.SQL("CAST({} AS {})").format(trusted(column.default), trusted(column.type))
    return sql.SQL("{} AND pg_catalog.record_image_ne(ROW({}), ROW({}))").format(given, value, default)
