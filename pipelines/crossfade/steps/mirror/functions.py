"""The functions that a mirror installs, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from crossfade.composing import sql
from crossfade.steps.kept import no_keyed_function, no_trigger_function
from crossfade.steps.mirror.tables import Mirror

# Each with its arguments behind the key.
_KEYED: dict[str, tuple[LiteralString, ...]] = {
    "carry_left": ("text[]", "boolean"),
    "carry_right": ("text[]", "boolean"),
    "settle": ("text[]",),
    "write_left": ("text[]", "boolean", "boolean", "boolean"),
    "write_right": ("text[]", "boolean", "boolean", "boolean"),
}
_OF_TRIGGERS = ("left", "right", "left_all", "right_all", "before", "at_commit")


def function_names(mirror: Mirror) -> list[str]:
    return [mirror.own(purpose) for purpose in (*_OF_TRIGGERS, *_KEYED)]


def dropped(mirror: Mirror) -> Iterator[sql.Composable]:
    for purpose in _OF_TRIGGERS:
        yield no_trigger_function(mirror, purpose)
    for purpose, more in _KEYED.items():
        yield no_keyed_function(mirror, mirror.function(purpose), more)
