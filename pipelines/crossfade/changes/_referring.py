"""Foreign keys that point at a key which is replaced: what each comes to in its table, and what cannot follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from crossfade.catalog.model import ForeignKey, Table
from crossfade.changes._change import Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._obstacles import (
    refuse_branched,
    refuse_lost_with_column,
    refuse_own_sequence,
    refuse_readers,
    refuse_taken_name,
    rule_name,
)
from crossfade.changes._prepared import prepared_hazard
from crossfade.changes._referring_indexes import IndexesOf
from crossfade.changes._triggers import refuse_late_triggers, refuse_naming_triggers
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.rekey import Referring, Rekeyed, lookup
from crossfade.steps.rows import NewColumn, Pair
from crossfade.steps.step import BuildIndex


class FollowingKey(SpecModel):
    """A foreign key that points at the old key."""

    table: Identifier = Field(description="The table that refers, or `schema.table`.")
    column: Identifier = Field(description="Its new column, which takes the place of those that refer now.")
    foreign_key: Identifier | None = Field(
        None, description="The foreign key's name, where the table has several that point at the key."
    )
    keep: tuple[Identifier, ...] = Field((), description="Those of the columns that refer now which stay.")


@dataclass(frozen=True)
class Followed:
    """A foreign key that follows, with the indexes its table gets for it."""

    child: Referring
    indexes: tuple[BuildIndex, ...]
    hazards: tuple[Hazard, ...]

    def pair(self, key: Rekeyed) -> Pair:
        child = self.child
        return Pair(
            title=f"{child.table.name} ({', '.join(child.columns)}) to {child.column}",
            old=child.leaving,
            new=(NewColumn(child.column, key.type, not_null=child.required and not child.late),),
            up={child.column: lookup.new_of(key, child)},
            down={name: lookup.old_of(key, child, name) for name in child.leaving or child.columns},
            seen_to=(child.constraint.name,),
            waits=True,
        )

    def mapped(self, key: Rekeyed) -> Mapped:
        child = self.child
        return Mapped(child.table.name, child.column, child.columns, lookup.new_of(key, child).text)


def followed(context: Context, key: Rekeyed, wanted: Sequence[FollowingKey]) -> Iterator[Followed]:
    """Refuses a foreign key that nobody named, and one that cannot follow."""
    left = [each for each in context.catalog.references_to(key.table.name) if points_at_key(key, each)]
    for number, entry in enumerate(wanted):
        with context.at("references", number):
            inner = context.within("references", number)
            table = inner.table(entry.table)
            found = [each for each in left if each.child == table.name and entry.foreign_key in (None, each.name)]
            if len(found) != 1:
                _refuse_unclear(inner, key, table, entry, found)
            left.remove(found[0])
            yield _Follower(inner, key, table, found[0], entry).followed()
    if left:
        said = "".join(f"\n  - {{table: {each.child.name}, foreign_key: {each.name}, column: ...}}" for each in left)
        context.refuse(
            f"foreign key {left[0].name} of {left[0].child} points at the key of {key.table.name}",
            why="it would keep the old key from going, and its rows would refer to nothing",
            fix=f"say under `references` what its new column is called:{said}",
            at=("references",),
        )


def refuse_shared_indexes(context: Context, found: Sequence[Followed]) -> None:
    """One index over columns of several foreign keys that go, which neither could make again."""
    for table in {each.child.table.name: each.child.table for each in found}.values():
        children = [each.child for each in found if each.child.table.name == table.name]
        for index in table.indexes:
            over = [child for child in children if index.reads & set(child.leaving)]
            if len(over) > 1 and any(len(child.columns) > 1 for child in over):
                context.refuse(
                    f"index {index.name} of {table.name} is over columns of {len(over)} foreign keys that follow",
                    why="it goes with them, and over which of the new columns it should be is not told",
                    fix="drop it before this migration, and create what shall take its place after it",
                    at=("references",),
                )


def points_at_key(key: Rekeyed, foreign: ForeignKey) -> bool:
    return set(foreign.referenced_columns) == set(key.constraint.columns)


def _refuse_unclear(
    context: Context, key: Rekeyed, table: Table, entry: FollowingKey, found: Sequence[ForeignKey]
) -> None:
    if found:
        names = ", ".join(each.name for each in found)
        context.refuse(
            f"{table.name} has {len(found)} foreign keys that point at the key of {key.table.name}",
            fix=f"name each: `foreign_key:` one of {names}",
            at=("table",),
        )
    named = f"no foreign key {entry.foreign_key}" if entry.foreign_key else "no foreign key"
    context.refuse(
        f"{table.name} has {named} that points at the key of {key.table.name}, or it is named twice",
        at=("foreign_key",) if entry.foreign_key else ("table",),
    )


@dataclass(frozen=True)
class _Follower:
    """One foreign key as it is asked for. context: within its entry."""

    context: Context
    key: Rekeyed
    table: Table
    foreign: ForeignKey
    entry: FollowingKey

    def followed(self) -> Followed:
        child = self._child()
        hazards = self._obstacles(child)
        indexes, told = IndexesOf(self.context, self.key, child).made()
        return Followed(child, indexes, (*hazards, *told, *_told(child)))

    def _child(self) -> Referring:
        context, table, entry = self.context, self.table, self.entry
        here = dict(zip(self.foreign.referenced_columns, self.foreign.columns, strict=True))
        columns = tuple(here[name] for name in self.key.constraint.columns)
        if entry.column in context.new_row_types(table):
            context.refuse(f"column {entry.column} exists already in {table.name}", at=("column",))
        for name in entry.keep:
            if name not in columns:
                context.refuse(
                    f"{name} is not among the columns that refer: {', '.join(columns)}",
                    fix="what does not refer stays anyway",
                    at=("keep",),
                )
        name = rule_name(table.name.name, entry.column, "fkey")
        refuse_taken_name(context, table, name)
        constraint = next(found for found in table.constraints if found.name == self.foreign.name)
        late = constraint.deferrable or table.name == self.key.table.name
        return Referring(table, constraint, columns, entry.column, name, entry.keep, late)

    def _obstacles(self, child: Referring) -> tuple[Hazard, ...]:
        context, table = self.context, child.table
        if table.kind == "partitioned" or table.partition_of is not None:
            context.refuse(
                f"{table.name}, whose foreign key {child.constraint.name} follows, is partitioned",
                why="PostgreSQL takes no NOT VALID foreign key there: to make it again would lock the table for a scan",
                fix="drop the foreign key before this migration, and do that table with a migration of its own after",
                at=("table",),
            )
        refuse_branched(context, table)
        if "SET DEFAULT" in child.constraint.definition:
            context.refuse(
                f"{child.constraint.name} of {table.name} sets a default when its parent goes",
                why="the new column has none",
                fix="give it another action before this migration",
                at=("table",),
            )
        gone = frozenset(child.leaving)
        hazards: tuple[Hazard, ...] = ()
        for name in child.leaving:
            refuse_own_sequence(context, table, table.by_name[name])
            refuse_lost_with_column(context, table, table.by_name[name])
            hazards += refuse_naming_triggers(context, table, name)
        hazards += refuse_readers(context, table, gone)
        self._refuse_ruled(child, gone)
        refuse_late_triggers(context, table, frozenset(child.columns))
        return hazards

    def _refuse_ruled(self, child: Referring, gone: frozenset[str]) -> None:
        """A rule over columns that go, which no other column can keep."""
        context, table = self.context, child.table
        rules = [
            (f"{c.kind.replace('_', ' ')} {c.name}", gone & set(c.columns))
            for c in table.constraints
            if c.kind in ("check", "foreign_key") and c.name != child.constraint.name
        ]
        rules += [(f"primary key {index.name}", gone & index.reads) for index in table.indexes if index.primary]
        rules += [
            (f"foreign key {key.name} of {key.child}", gone & set(key.referenced_columns))
            for key in context.catalog.references_to(table.name)
        ]
        for shown, held in rules:
            if held:
                named = ", ".join(sorted(held))
                context.refuse(
                    f"{named} of {table.name} is in the {shown} too",
                    why="the rule would go with it when it is dropped",
                    fix=f"say `keep: [{named}]`, or drop that rule first; a key of this table that holds it can be"
                    " replaced by a migration that comes before",
                    at=("keep",) if child.kept else (),
                )


def _told(child: Referring) -> Iterator[Hazard]:
    table = child.table
    if child.late:
        own = child.constraint.references == table.name
        said = "points into its own table" if own else "may be checked at commit"
        yield Hazard(
            "late-rows",
            "note",
            f"{child.constraint.name} of {table.name} {said}: a row that the old version inserts before the one it"
            f" refers to is in conflict until the engine looks again; {child.column} is NOT NULL from `archive` on,"
            " where the old columns are",
            "let the new version insert rows in order",
        )
    if child.kept:
        yield Hazard(
            "kept-columns",
            "warning",
            f"{', '.join(child.kept)} of {table.name} stay: from `archive` on nothing fills them but what writes them",
            "let the new version write them together with " + child.column,
        )
    yield prepared_hazard(table, "warning", "after expand, retire and drop" if child.leaving else "after expand")
