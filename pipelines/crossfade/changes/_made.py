"""Steps of what the catalog alone makes, replaces or drops: statements in one transaction, and those that undo them."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.changes._context import Context
from crossfade.composing import sql
from crossfade.steps.compose import text
from crossfade.steps.step import Ddl, Leg, Lock


def made(
    context: Context,
    step_id: str,
    leg: Leg,
    title: str,
    forth: Iterable[sql.Composable],
    back: Iterable[sql.Composable],
    undo_title: str,
    *,
    locks: tuple[Lock, ...] = (),
    undo_locks: tuple[Lock, ...] | None = None,
    scans: bool = False,
) -> Ddl:
    """undo_locks: where the way back takes others than the way forth."""
    return Ddl(
        id=step_id,
        leg=leg,
        database=context.database,
        title=title,
        locks=locks,
        statements=text(*forth),
        scans=scans,
        undo=(
            Ddl(
                id=f"{step_id}/undo",
                leg=leg,
                database=context.database,
                title=undo_title,
                locks=locks if undo_locks is None else undo_locks,
                statements=text(*back),
            ),
        ),
        undo_title=undo_title,
    )
