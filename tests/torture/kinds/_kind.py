"""What a kind of change is here: what stands in the spec, and the same in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.torture.shapes import Names, Shape

Value = Any  # of a column, as psycopg gives it
Change = dict[str, dict[str, Any]]


class Unmappable(Exception):
    """A value that `up` cannot convert: the row comes into conflict, the statement does not fail."""


def same(value: Value) -> Value:
    return value


@dataclass(frozen=True)
class Pair:
    """Two columns that mean the same.

    old: None where rows get a column that nothing wrote before. new: None where a column leaves.
    up: the old value -> the new one. down: back; None where the old side does not follow.
    swap: both bear the name `old`; the names swap at cutover.
    stays: the old column is there in the end.
    settled: a value of the old side that comes back from `down` as it was, so that it does not matter whether it was
    written before or after cutover.
    """

    old: str
    new: str | None
    up: Callable[[Value], Value] = same
    down: Callable[[Value], Value] | None = same
    swap: bool = False
    stays: bool = False
    settled: Callable[[Value], Value] = same


@dataclass(frozen=True)
class Kind:
    """One migration.

    opaque: new columns whose value nobody can foretell, but which is there, unique, and never changes.
    adds: new column -> its value in rows of the old version.
    sets: what `update_rows` makes of a column of the rows that were there, exactly once.
    fits: it can be done to the shape at all.
    views: the new version sees the table by views, each of its columns as it knows it from expand on.
    once: a query whose answer says how often something was done that must be done once.
    beside: a script of what there is besides the shape's own, before the migration.
    values: what writers write into a column, in place of what they do otherwise.
    apart: columns that the new version finds in a table of their own, PARTED, under the table's key.
    into: the new version finds all rows in PARTED, where those that it inserts are alone.
    back_until: the last leg from which it can be taken back; None: from the end.
    """

    name: str
    changes: Callable[[Shape], list[Change]]
    pairs: tuple[Pair, ...] = ()
    opaque: tuple[str, ...] = ()
    adds: Mapping[str, Value] = field(default_factory=dict[str, Value])
    sets: Mapping[str, Callable[[Value], Value]] = field(default_factory=dict[str, Callable[[Value], Value]])
    fits: Callable[[Shape], bool] = lambda shape: True
    views: bool = False
    once: str | None = None
    beside: Callable[[Shape], str] = lambda shape: ""
    values: Mapping[str, Sequence[Value]] = field(default_factory=dict[str, Sequence[Value]])
    apart: tuple[str, ...] = ()
    into: bool = False
    back_until: str | None = None

    @property
    def leaves(self) -> bool:
        """An old column goes, so its values are archived."""
        return any(not pair.stays for pair in self.pairs)


def composed(text: str, t: Names, **columns: str) -> str:
    """A fragment with the names of the shape in it, quoted."""
    return text.format(**{as_written: t.q(logical) for as_written, logical in columns.items()})


def is_whole(shape: Shape) -> bool:
    """CREATE INDEX CONCURRENTLY and unique rules over any columns can be had."""
    return not shape.partitioned


def has_key(shape: Shape) -> bool:
    return bool(shape.key)
