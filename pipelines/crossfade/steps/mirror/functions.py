"""The forms of the functions that a mirror installs, and their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.mirror.tables import Mirror, Values
from crossfade.steps.plpgsql import commented, quoted

_PATH = sql.SQL("SET search_path TO pg_catalog, pg_temp")
_NONE = sql.SQL("")

# Each with its arguments behind the key.
_KEYED: dict[str, LiteralString] = {
    "carry_left": "text[], boolean",
    "carry_right": "text[], boolean",
    "settle": "text[]",
    "write_left": "text[], boolean, boolean, boolean",
    "write_right": "text[], boolean, boolean, boolean",
}
_OF_TRIGGERS = ("left", "right", "left_all", "right_all", "before", "at_commit")


def function_names(mirror: Mirror) -> list[str]:
    return [mirror.own(purpose) for purpose in (*_OF_TRIGGERS, *_KEYED)]


def dropped(mirror: Mirror) -> Iterator[sql.Composable]:
    for purpose in _OF_TRIGGERS:
        yield sql.SQL("DROP FUNCTION IF EXISTS {}()").format(mirror.function(purpose))
    key = sql.SQL(", ").join(map(trusted, mirror.key_types))
    for purpose, more in _KEYED.items():
        yield sql.SQL("DROP FUNCTION IF EXISTS {}({}, {})").format(mirror.function(purpose), key, sql.SQL(more))


def key_arguments(mirror: Mirror) -> Values:
    return [sql.Identifier(f"_cf_key_{number}") for number in range(len(mirror.left.key))]


def keyed_function(
    mirror: Mirror,
    name: sql.Identifier,
    more: sql.Composable,
    returns: LiteralString,
    body: sql.Composable,
    settings: sql.Composable = _NONE,
) -> sql.Composable:
    """A function of a key. more: the other arguments. settings: beside the search_path."""
    arguments = sql.SQL(", ").join(
        sql.SQL("{} {}").format(argument, trusted(type_))
        for argument, type_ in zip(key_arguments(mirror), mirror.key_types, strict=True)
    )
    return sql.SQL("CREATE OR REPLACE FUNCTION {}({}, {}) RETURNS {} LANGUAGE plpgsql {} {} AS {}").format(
        name, arguments, more, sql.SQL(returns), _PATH, settings, quoted(body)
    )


def trigger_function(mirror: Mirror, purpose: str, body: sql.Composable) -> Iterator[sql.Composable]:
    """body: statements, which may use the variable `told`."""
    name = mirror.function(purpose)
    whole = sql.SQL(
        """
-- Keeps {} in step while migration {} runs; its archive stage ends it.
DECLARE
  told text[];
BEGIN
{}
END
"""
    ).format(trusted(commented(mirror.shown)), trusted(mirror.migration), body)
    yield sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {} AS {}").format(
        name, _PATH, quoted(whole)
    )
    # Not to be made the trigger of another table; that it is fired asks no right.
    yield sql.SQL("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC").format(name)
    comment = f"crossfade: keeps {mirror.shown} in step; migration {mirror.migration}"
    yield sql.SQL("COMMENT ON FUNCTION {}() IS {}").format(name, sql.Literal(comment))
