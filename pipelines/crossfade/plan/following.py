"""Foreign keys to columns that are replaced: which follow which table, and the order in which the tables turn.

A child turns before its parent: until the parent has, no value comes that the child's old column could not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from crossfade.catalog.model import Catalog, ForeignKey, Name
from crossfade.changes import Refused
from crossfade.spec.model import Migration
from crossfade.steps.rows import Following, Sides

_Place = tuple[str, Name]  # database, table


def with_following(migration: Migration, transitions: Sequence[Sides], catalogs: Mapping[str, Catalog]) -> list[Sides]:
    """The transitions, children first, each with the foreign keys that follow it, and without those it hands over."""
    by_place = {(sides.database, sides.table.name): sides for sides in transitions}
    following: dict[_Place, list[Following]] = {}
    handed_over: dict[_Place, set[str]] = {}
    children: dict[_Place, set[_Place]] = {}
    for place, sides in by_place.items():
        for key in _to_replaced(sides, catalogs[sides.database]):
            child = (sides.database, key.child)
            other = by_place.get(child)
            _refuse_parting(migration, key, other)
            following.setdefault(place, []).append(_following(key, other, catalogs[sides.database]))
            handed_over.setdefault(child, set()).add(key.name)
            if other is not None and child != place:
                children.setdefault(place, set()).add(child)
    return [
        replace(
            by_place[place],
            following=tuple(following.get(place, ())),
            handed_over=frozenset(handed_over.get(place, ())),
        )
        for place in _children_first(migration, [*by_place], children)
    ]


def _to_replaced(sides: Sides, catalog: Catalog) -> Iterator[ForeignKey]:
    held = set(sides.leaving) - set(sides.parting)
    yield from (key for key in catalog.references_to(sides.table.name) if held & set(key.referenced_columns))


def _following(key: ForeignKey, child: Sides | None, catalog: Catalog) -> Following:
    constraint = next(found for found in catalog.tables[key.child].constraints if found.name == key.name)
    shadows = child.new_names("side by side") if child is not None else {}
    hidden = {name: child.hidden(name) for name in child.leaving} if child is not None else {}
    return Following(key.child, constraint, new=shadows, turned=hidden)


def _refuse_parting(migration: Migration, key: ForeignKey, child: Sides | None) -> None:
    """The child's column goes to one of another name or meaning, at another time."""
    gone = sorted(set(key.columns) & set(child.parting)) if child is not None else []
    if gone:
        raise Refused(
            f"{key.child}.{gone[0]} is changed while the key that {key.name} points at is replaced",
            where=migration.position("changes"),
            why="the foreign key would have to follow both at once",
            fix="make it two migrations, one `after` the other",
        )


def _children_first(
    migration: Migration, places: Sequence[_Place], children: Mapping[_Place, set[_Place]]
) -> Iterator[_Place]:
    """In the order given but for that."""
    left = [*places]
    while left:
        ready = next((place for place in left if not children.get(place, set()) & set(left)), None)
        if ready is None:
            named = ", ".join(sorted(str(table) for _, table in left))
            raise Refused(
                f"the keys of {named} point at each other in a circle",
                where=migration.position("changes"),
                why="a table turns after those that point at its key, and here none can be the first",
                fix="drop one of these foreign keys first, and add it again after this migration",
            )
        left.remove(ready)
        yield ready
