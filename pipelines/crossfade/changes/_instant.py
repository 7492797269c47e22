"""A change in one transaction, of the catalog alone nearly always, and the one that takes it back."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.changes._context import Context
from crossfade.composing import sql
from crossfade.steps.compose import text
from crossfade.steps.step import Ddl, Guard, Leg, Lock


def instant(
    context: Context,
    leg: Leg,
    step_id: str,
    title: str,
    forth: Iterable[sql.Composable],
    back: Iterable[sql.Composable],
    back_title: str,
    *,
    locks: tuple[Lock, ...] = (),
    back_locks: tuple[Lock, ...] | None = None,
    guards: tuple[Guard, ...] = (),
    back_guards: tuple[Guard, ...] = (),
    scans: bool = False,
    back_scans: bool = False,
) -> Ddl:
    """The step with its undo.

    back_title: what takes it back, for people. back_locks: of the undo, where they are not the same. scans,
    back_scans: it, or the undo, reads whole tables under weak locks.
    """
    undo = Ddl(
        id=f"{step_id}/undo",
        leg=leg,
        database=context.database,
        title=back_title,
        locks=locks if back_locks is None else back_locks,
        statements=text(*back),
        guards=back_guards,
        scans=back_scans,
    )
    return Ddl(
        id=step_id,
        leg=leg,
        database=context.database,
        title=title,
        locks=locks,
        statements=text(*forth),
        guards=guards,
        scans=scans,
        undo=(undo,),
        undo_title=back_title,
    )
