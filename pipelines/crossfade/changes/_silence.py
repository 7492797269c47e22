"""Whether the user's triggers are silenced while rows are written in bulk: by session_replication_role, all at once."""

from __future__ import annotations

from collections.abc import Iterable

from crossfade.catalog.model import Catalog, Name, RowEvent, Table
from crossfade.changes._change import Refused
from crossfade.changes._context import Context
from crossfade.composing import sql
from crossfade.errors import Position
from crossfade.spec.model import Head


def is_silent(
    catalog: Catalog, head: Head, table: Name, *, where: Position, done: str, event: RowEvent = "update"
) -> bool:
    """No trigger fires for the rows we write, unless the spec says so; it must, where they cannot be silenced.

    done: what is done to each row, for the refusal.
    """
    fires = catalog.fired_by(event, table)
    if not fires or head.backfill.fire_triggers:
        return False
    loud = catalog.fired_in_silence(event, table)
    choice = "say `backfill: {fire_triggers: true}` when it does no harm"
    if loud and loud[0].enabled == "A":
        why, fix = "it is enabled ALWAYS", choice
    elif loud:
        why = f"it is enabled REPLICA: what silences {fires[0].name} fires it"
        fix = (
            f"say `backfill: {{fire_triggers: true}}` when {fires[0].name} does no harm, which leaves {loud[0].name}"
            f" silent; or disable {loud[0].name} while the migration is under way, where no replication needs it"
        )
    elif not catalog.role.may_set_replication_role:
        why = f"role {catalog.role.name} may not set session_replication_role, which silences it"
        fix = choice + _way_to_silence(catalog)
    else:
        return True
    fired = (loud or fires)[0]
    raise Refused(
        f"trigger {fired.name} of {table} would fire for every row that is {done}", where=where, why=why, fix=fix
    )


def refuse_unchecked(context: Context, table: Table, columns: Iterable[str], *, fired: str) -> None:
    """Columns that are set in silence, and are in a foreign key. fired: the trigger that is silenced."""
    keyed = {
        column
        for key in (*context.catalog.references_from(table.name), *context.catalog.references_to(table.name))
        for column in (key.columns if key.child == table.name else key.referenced_columns)
    }
    if unchecked := sorted(keyed & set(columns)):
        context.refuse(
            f"{', '.join(unchecked)} of {table.name} is in a foreign key, and trigger {fired} would fire",
            why="what silences user triggers silences the foreign key's check too",
            fix="say `backfill: {fire_triggers: true}`",
        )


def _way_to_silence(catalog: Catalog) -> str:
    """How a role that may not silence user triggers could come to do so; what follows a first way out."""
    if catalog.server.version < 150000:
        return ", or run it as a superuser: before PostgreSQL 15 nobody can be granted session_replication_role"
    role = sql.Identifier(catalog.role.name).as_string(None)
    return f", or GRANT SET ON PARAMETER session_replication_role TO {role}"
