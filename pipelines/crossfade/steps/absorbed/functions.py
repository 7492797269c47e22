"""The functions that are installed while the two tables are kept in step, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from crossfade.composing import sql
from crossfade.steps.absorbed import carry, notes, written
from crossfade.steps.absorbed.tables import Absorbed
from crossfade.steps.kept import (
    fresh_and_held,
    no_keyed_function,
    no_trigger_function,
    tried_at_commit,
    trigger_function,
)

# Each with its arguments behind the key.
_KEYED: dict[str, tuple[LiteralString, ...]] = {
    "make": (),
    "carry_left": ("text[]", "boolean"),
    "carry_right": ("text[]", "boolean"),
    "settle": (),
    "write_left": ("text[]", "boolean", "boolean"),
    "write_right": ("text[]", "boolean", "boolean"),
}
_OF_TRIGGERS = ("come", "written", "emptied", "like_written", "likes_emptied", "noted_moved", "taken", "at_commit")
_OF_KEYS = "like_moved"


def function_names(absorbed: Absorbed) -> list[str]:
    return [absorbed.own(purpose) for purpose in (*_KEYED, *_OF_TRIGGERS, _OF_KEYS)]


def installed(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """Statements that make the table of notes, and what the triggers call."""
    yield from notes.table(absorbed)
    yield from carry.functions(absorbed)
    yield notes.function(absorbed)
    yield from of_keys(absorbed)
    for purpose, body in written.bodies(absorbed):
        yield from trigger_function(absorbed, purpose, body, path=absorbed.search_path)
    yield from tried_at_commit(absorbed, absorbed.notes, fresh_and_held())


def of_keys(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """What follows keys that the kept table gives its rows anew, as long as the other one is there."""
    return trigger_function(absorbed, _OF_KEYS, written.key_moved(absorbed), path=absorbed.search_path)


def removed(absorbed: Absorbed) -> Iterator[sql.Composable]:
    yield from ended(absorbed)
    yield keys_let_go(absorbed)


def keys_let_go(absorbed: Absorbed) -> sql.Composable:
    return no_trigger_function(absorbed, _OF_KEYS)


def ended(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """All go but what follows keys."""
    yield sql.SQL("DROP TABLE IF EXISTS {}").format(absorbed.notes)
    for purpose in _OF_TRIGGERS:
        yield no_trigger_function(absorbed, purpose)
    for purpose, more in _KEYED.items():
        yield no_keyed_function(absorbed, absorbed.function(purpose), more)
