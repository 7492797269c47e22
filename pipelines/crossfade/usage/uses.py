"""What is found in a statement, and what stands in its FROM: values that all the walking shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from crossfade.catalog.model import Name

How = Literal["reads", "writes"]


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column of a table, and what is done with it."""

    table: Name
    column: str
    how: How

    @property
    def place(self) -> tuple[Name, str]:
        return self.table, self.column


Uses = frozenset[ColumnUse]
NOTHING: Uses = frozenset()


@dataclass(frozen=True, slots=True)
class Output:
    """A column that a relation or query gives. uses: what whoever takes it uses with it."""

    name: str
    uses: Uses = NOTHING


@dataclass(frozen=True)
class Item:
    """What stands in FROM under a name.

    complete: these are all of its columns. qualified: it is named before its columns only, as `excluded` is.
    """

    alias: str
    columns: tuple[Output, ...]
    schema: str | None = None
    complete: bool = True
    qualified: bool = False

    def named(self, column: str) -> tuple[Output, ...]:
        return tuple(output for output in self.columns if output.name == column)

    @property
    def whole(self) -> Uses:
        return union(self.columns)

    def renamed(self, alias: str, columns: Sequence[str]) -> Item:
        """Under an alias, the first columns under other names."""
        names = [*columns, *(output.name for output in self.columns[len(columns) :])]
        renamed = tuple(replace(output, name=name) for output, name in zip(self.columns, names, strict=False))
        return Item(alias, renamed, complete=self.complete, qualified=self.qualified)


Queries = Mapping[str, tuple[Output, ...]]


@dataclass(frozen=True)
class Scope:
    """Which names a part of a statement may say. queries: those of WITH; outer: what surrounds it."""

    items: tuple[Item, ...] = ()
    outer: Scope | None = None
    queries: Queries = field(default_factory=dict[str, tuple[Output, ...]])

    def within(self, items: Sequence[Item]) -> Scope:
        """Of a part that sees these items, and behind them what this one sees."""
        return Scope(tuple(items), self, self.queries)

    def column(self, name: str) -> Uses | None:
        """What a bare name uses; None: no column in sight has it."""
        scope: Scope | None = self
        while scope is not None:
            found = [output for item in scope.items if not item.qualified for output in item.named(name)]
            if found:
                return union(found)
            if not all(item.complete or item.qualified for item in scope.items):
                return NOTHING  # of a function, whose columns are not known
            scope = scope.outer
        return None

    def item(self, alias: str, schema: str | None = None) -> Item | None:
        scope: Scope | None = self
        while scope is not None:
            for item in scope.items:
                if item.alias == alias and schema in (None, item.schema):
                    return item
            scope = scope.outer
        return None


def union(outputs: Sequence[Output]) -> Uses:
    return NOTHING.union(*(output.uses for output in outputs))


def written(uses: Uses) -> Uses:
    return frozenset(replace(use, how="writes") for use in uses)
