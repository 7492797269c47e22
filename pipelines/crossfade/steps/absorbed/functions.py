"""The functions that are installed while the two tables are kept in step, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from crossfade.composing import sql
from crossfade.steps.absorbed import carry, notes, written
from crossfade.steps.absorbed.tables import Absorbed
from crossfade.steps.kept import no_keyed_function, no_trigger_function, trigger_function

# Each with its arguments behind the key.
_KEYED: dict[str, tuple[LiteralString, ...]] = {
    "make": (),
    "carry_left": ("text[]", "boolean"),
    "carry_right": ("text[]", "boolean"),
    "settle": (),
    "write_left": ("text[]", "boolean", "boolean"),
    "write_right": ("text[]", "boolean", "boolean"),
}
_OF_TRIGGERS = ("come", "written", "emptied", "like_written", "like_moved", "at_commit")


def function_names(absorbed: Absorbed) -> list[str]:
    return [absorbed.own(purpose) for purpose in (*_KEYED, *_OF_TRIGGERS)]


def installed(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """Statements that make the table of notes, and what the triggers call."""
    yield from notes.table(absorbed)
    yield from carry.functions(absorbed)
    yield notes.function(absorbed)
    for purpose, body in written.bodies(absorbed):
        yield from trigger_function(absorbed, purpose, body)
    yield from notes.table_trigger(absorbed)


def removed(absorbed: Absorbed) -> Iterator[sql.Composable]:
    yield sql.SQL("DROP TABLE IF EXISTS {}").format(absorbed.notes)
    for purpose in _OF_TRIGGERS:
        yield no_trigger_function(absorbed, purpose)
    for purpose, more in _KEYED.items():
        yield no_keyed_function(absorbed, absorbed.function(purpose), more)
