"""The triggers of a mirror: whoever writes one side carries it to the other within his statement.

They run as the role that migrates: who may write one table need have no right on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import record, text
from crossfade.steps.kept import fresh_and_held, tried_at_commit
from crossfade.steps.mirror import carry, notes, written
from crossfade.steps.mirror.functions import dropped
from crossfade.steps.mirror.tables import PLACEHOLDER, THEIRS, Mirror, Moment, Side


def functions(mirror: Mirror, moment: Moment) -> tuple[str, ...]:
    """Statements that install what the triggers call, and the table of notes."""
    return text(
        notes.table(mirror), *_functions(mirror, moment), *tried_at_commit(mirror, mirror.notes.sql, fresh_and_held())
    )


def without_functions(mirror: Mirror) -> tuple[str, ...]:
    return text(sql.SQL("DROP TABLE IF EXISTS {}").format(mirror.notes.sql), *dropped(mirror))


def on(mirror: Mirror, side: Side, moment: Moment) -> tuple[str, ...]:
    """Statements that install the triggers of one of the tables."""
    return text(*_triggers(mirror, side, moment))


def off(mirror: Mirror, side: Side) -> tuple[str, ...]:
    return text(*_no_triggers(mirror, side))


def turn(mirror: Mirror, moment: Moment) -> tuple[str, ...]:
    """Statements that change to another moment under a lock on the left table alone; the right triggers stay."""
    return text(*_no_triggers(mirror, "left"), *_functions(mirror, moment), *_triggers(mirror, "left", moment))


def trigger_names(mirror: Mirror, side: Side, moment: Moment) -> tuple[str, ...]:
    """The triggers that must be there, ENABLE ALWAYS."""
    return tuple(name for name, *_ in _wanted(mirror, side, moment))


def _functions(mirror: Mirror, moment: Moment) -> Iterator[sql.Composable]:
    yield from carry.functions(mirror)
    yield from notes.functions(mirror)
    yield from written.functions(mirror, moment)


_Trigger: TypeAlias = "tuple[str, str, sql.Composable | None, str]"  # name, when, condition, function


def _wanted(mirror: Mirror, side: Side, moment: Moment) -> Iterator[_Trigger]:
    half = mirror.left if side == "left" else mirror.right

    def named(purpose: str) -> str:
        return mirror.own(f"{side}_{purpose}")

    marker = sql.Identifier(mirror.marker)
    theirs = sql.SQL("new.{} = {}").format(marker, sql.Literal(THEIRS)) if side == "right" else None
    yield named("ins"), "AFTER INSERT", theirs, side
    if side == "left" and moment == "turned":
        return
    columns = (*half.key, *half.columns)
    written = sql.SQL("pg_catalog.record_image_ne({}, {})").format(record(columns, "new"), record(columns, "old"))
    # What comes with a row's being mapped comes from the left one: that is not locked, and not waited for, again.
    told = sql.SQL("{} AND (old.{m} IS NOT NULL OR new.{m} IS NULL)") if side == "right" else sql.SQL("{}")
    yield named("upd"), "AFTER UPDATE", told.format(written, m=marker), side
    if not mirror.makes:
        return
    real = sql.SQL("old.{} IS DISTINCT FROM {}").format(marker, sql.Literal(PLACEHOLDER)) if side == "right" else None
    yield named("del"), "AFTER DELETE", real, side
    yield named("all"), "AFTER TRUNCATE", None, f"{side}_all"
    if side == "right":
        placeholder = sql.SQL("new.{} = {} AND {}").format(marker, sql.Literal(PLACEHOLDER), written)
        yield named("new"), "BEFORE INSERT", theirs, "before"
        yield named("own"), "BEFORE UPDATE", placeholder, "before"


def _triggers(mirror: Mirror, side: Side, moment: Moment) -> Iterator[sql.Composable]:
    table = (mirror.left if side == "left" else mirror.right).sql
    for name, event, condition, function in _wanted(mirror, side, moment):
        each = sql.SQL("STATEMENT" if event == "AFTER TRUNCATE" else "ROW")
        when = sql.SQL("") if condition is None else sql.SQL(" WHEN ({})").format(condition)
        yield sql.SQL("CREATE OR REPLACE TRIGGER {} {} ON {} FOR EACH {}{} EXECUTE FUNCTION {}()").format(
            sql.Identifier(name), trusted(event), table, each, when, mirror.function(function)
        )
        # Rows that come by logical replication or under session_replication_role are carried too.
        yield sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table, sql.Identifier(name))


def _no_triggers(mirror: Mirror, side: Side) -> Iterator[sql.Composable]:
    table = (mirror.left if side == "left" else mirror.right).sql
    for name, *_ in _wanted(mirror, side, "side by side"):
        yield sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(name), table)
