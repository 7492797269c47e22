"""How two snapshots of a database differ, in plain words; and what of it was there before a migration began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from crossfade.catalog.model import Catalog
from crossfade.catalog.structure import Key, Structure, Thing, structure_of


@dataclass(frozen=True, order=True)
class Difference:
    """One difference: what kind of object, which one, and how it differs."""

    kind: str
    object: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.object}: {self.what}"

    @property
    def key(self) -> Key:
        """The object that differs."""
        return Key(self.kind, self.object)


def diff(before: Catalog, after: Catalog, *, own: bool = True) -> tuple[Difference, ...]:
    """Every difference between two snapshots, sorted; none means the schema is the same.

    own: whether objects that crossfade made, named `_cf_...`, count.
    """
    return differences(structure_of(before, own=own), structure_of(after, own=own))


def differences(before: Structure, after: Structure) -> tuple[Difference, ...]:
    """Every difference between two structures, sorted. What came or went with its table is not told beside it."""
    return tuple(sorted(_differences(before, after)))


def changed(before: Structure, after: Structure) -> dict[Key, Thing | None]:
    """The objects that differ, as they are afterwards; None of those that are gone."""
    return {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def settled(
    expected: Structure, began: Mapping[Key, Thing | None], now: Structure, made: Callable[[Key], bool]
) -> dict[Key, Thing]:
    """What is expected after a migration has worked: as before, with what it made of that.

    began: what differed from `expected` when it began to work, as it was then. made: whether it may have changed an
    object. What differed before and does so still, field by field, is none of its making.
    """
    found = dict(expected)
    for key, after in changed(expected, now).items():
        if not made(key) or (key in began and began[key] == after):
            continue
        if after is None:
            del found[key]
        else:
            found[key] = _without(after, expected.get(key), began.get(key))
    return found


def _without(after: Thing, expected: Thing | None, drifted: Thing | None) -> Thing:
    """After a migration, but for the fields that had drifted before it and are the same still."""
    if expected is None or drifted is None:
        return after
    says = dict(after.says)
    for name in drifted.says.keys() | expected.says.keys():
        was = expected.says.get(name)
        if drifted.says.get(name) != was and drifted.says.get(name) == after.says.get(name):
            says.pop(name, None)
            if was is not None:
                says[name] = was
    return replace(after, says=says)


def _differences(before: Structure, after: Structure) -> Iterator[Difference]:
    kept = {key.object for key in before.keys() & after.keys()}
    for key in before.keys() | after.keys():
        was, now = before.get(key), after.get(key)
        if was is not None and now is not None:
            whats = [*_changes(was, now)]
        else:
            thing = was or now
            with_its_table = thing is not None and thing.within is not None and thing.within not in kept
            whats = [] if with_its_table else ["was created" if was is None else "was dropped"]
        for what in whats:
            yield Difference(*key, what)


def _changes(was: Thing, now: Thing) -> Iterator[str]:
    for name in was.says.keys() | now.says.keys():
        old, new = was.says.get(name), now.says.get(name)
        if old != new:
            yield f"{name} was {old or 'none'}, is {new or 'none'}"
    both = set(was.columns) & set(now.columns)
    old_order, new_order = ([name for name in each.columns if name in both] for each in (was, now))
    if old_order != new_order:
        yield f"column order was {', '.join(old_order)}, is {', '.join(new_order)}"
