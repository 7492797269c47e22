"""Triggers of the user's, and what a change of columns does to them: refused by name with a way out, or told."""

from __future__ import annotations

from crossfade.catalog.model import OWN_PREFIX, Table, Trigger
from crossfade.changes._context import Context
from crossfade.changes._row_use import row_use

_WRITES = {"insert", "update"}
# Of PostgreSQL and its contrib modules, by the symbol: they write no column but those that their arguments name.
_BOUND_BY_ARGUMENTS = {
    "autoinc",
    "check_foreign_key",
    "check_primary_key",
    "insert_username",
    "lo_manage",
    "moddatetime",
    "suppress_redundant_updates_trigger",
    "tsvector_update_trigger_bycolumn",
    "tsvector_update_trigger_byid",
}


def refuse_late_triggers(context: Context, table: Table, columns: frozenset[str]) -> None:
    """A trigger that assigns a mapped column after ours would go unseen: triggers fire in order of name."""
    for part in context.catalog.tree(table.name):
        for trigger in part.user_triggers:
            if not (trigger.before and trigger.row and trigger.name > OWN_PREFIX and trigger.events & _WRITES):
                continue
            assigned = _assigned(trigger)
            touched = ", ".join(sorted(columns if assigned is None else columns & assigned))
            does = "assigns" if assigned is not None else "may assign"
            if touched:
                context.refuse(
                    f"trigger {trigger.name} of {part.name} {does} {touched} after the sync trigger",
                    why="BEFORE triggers fire in order of name, so the new side would miss what it writes"
                    + ("" if assigned is not None else f"; nobody can tell what {trigger.function} does to the row"),
                    fix=f'ALTER TRIGGER "{trigger.name}" ON {part.name} RENAME TO "A_{trigger.name}"',
                )


def _assigned(trigger: Trigger) -> frozenset[str] | None:
    """The columns that it may assign; None: any of them."""
    if trigger.language in ("c", "internal") and trigger.body in _BOUND_BY_ARGUMENTS:
        return frozenset(trigger.arguments)
    return row_use(trigger.body).assigned if trigger.language == "plpgsql" else None
