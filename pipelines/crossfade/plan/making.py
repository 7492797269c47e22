"""Which changes of a schema a plan may have made, by the names in its statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from crossfade.catalog.dependents import words
from crossfade.catalog.structure import Key, Structure, Thing
from crossfade.plan.plan import Plan

# Of a table, which tables it changes with.
_ABOVE = ("partition of", "inherits")
# Where names of roles stand, or words for people.
_NOT_ABOUT = frozenset({"grants", "owner", "comment"})


def may_make(plan: Plan, database: str, *structures: Structure) -> Callable[[Key], bool]:
    """Whether the plan may make, change or drop an object of one of these structures, in that database.

    It may where its statements name the object, its table, or a table above that one, or where the object's own
    definition names what they name: a foreign key follows the table that it leads to. An author's own statements, of
    which nobody knows what they call, may make anything.
    """
    steps = [step for step in plan.steps if step.database == database]
    if any(getattr(step, "script", None) is not None for step in steps):
        return lambda _: True
    said: set[str] = set()
    for step in steps:
        for text in _texts(step.model_dump()):
            said |= words(text)
    named = said & _names(structures)
    named |= _below(named, structures)

    def made(key: Key) -> bool:
        if key.kind in ("schema", "extension"):
            return key.object in said
        return any(not named.isdisjoint(words(text)) for text in _about(key, structures))

    return made


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in cast("dict[Any, Any]", value).values():
                yield from _texts(each)
        case list() | tuple():
            for each in cast("list[Any]", value):
                yield from _texts(each)
        case _:
            pass


def _names(structures: tuple[Structure, ...]) -> set[str]:
    """Of all that stands by itself, without schemas, and without the types that a function takes."""
    found: set[str] = set()
    for structure in structures:
        for key, thing in structure.items():
            if thing.within is None and key.kind not in ("schema", "extension"):
                found |= words(_name(key))
    return found


def _name(key: Key) -> str:
    return key.object.partition("(")[0].partition(".")[2]


def _below(named: set[str], structures: tuple[Structure, ...]) -> set[str]:
    """The names of tables that change with these, at any depth."""
    found: set[str] = set()
    while True:
        more = {
            word
            for structure in structures
            for key, thing in structure.items()
            if key.kind == "table" and any(not words(text).isdisjoint(named | found) for text in _above(thing))
            for word in words(_name(key))
        }
        if more <= found:
            return found
        found |= more


def _above(thing: Thing) -> Iterator[str]:
    for field in _ABOVE:
        if field in thing.says:
            yield thing.says[field]


def _about(key: Key, structures: tuple[Structure, ...]) -> Iterator[str]:
    # Parts are told as `users.email`, `users_pkey on public.users`: the words of a schema are no names.
    yield key.object.partition("(")[0]
    for structure in structures:
        if (thing := structure.get(key)) is not None:
            yield from (text for field, text in thing.says.items() if field not in _NOT_ABOUT)
