"""The command by which a migration goes on from where it stands; all who tell of one ask here."""

from __future__ import annotations

from crossfade.ledger.records import MigrationState


def command_to_go_on(migration: str, state: MigrationState, undo_to: str | None = None) -> str:
    """`crossfade up NAME`, or on the way back `crossfade rollback NAME`, no further back than was asked for."""
    if state != "undoing":
        return f"`crossfade up {migration}`"
    return f"`crossfade rollback {migration}{f' --to {undo_to}' if undo_to else ''}`"
