"""What the rows must be: the record that writers keep of what they wrote, and what follows from it by the spec.

Each row has two sides, as the old and the new version of the application see it. A write of one side moves the other
as `up` and `down` say, and nothing else does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.torture.kinds import Kind, Pair, Unmappable, Value
from tests.torture.shapes import Shape

Version = Literal["old", "new", "neutral"]

WRITTEN = ("name", "age", "zip", "note", "score", "grade", "area", "stamp")
TEXTS = ("name", "zip", "note")


@dataclass
class Row:
    """One row.

    old: the columns of the old version. new: those that only the new one has. updated: by an application. alone: of
    the new version only.
    """

    old: dict[str, Value]
    new: dict[str, Value]
    updated: bool = False
    alone: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Model:
    """All rows of the table, by `ident`.

    count: rows that were inserted, updated and deleted by statements that committed.
    """

    def __init__(self, shape: Shape, kind: Kind, seeded: Mapping[int, dict[str, Value]]) -> None:
        self.shape = shape
        self.kind = kind
        self.rows: dict[int, Row] = {}
        self.count = 0
        self.seeded = frozenset(seeded)
        self._guard = threading.Lock()
        self._next = max(seeded)
        for ident, values in seeded.items():
            row = Row(dict(values), dict(kind.adds))
            for pair in self._beside:
                _go_up(pair, row)
            self.rows[ident] = row

    @property
    def _beside(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.kind.pairs if pair.new is not None)

    # --- what writers tell ---------------------------------------------------------------------------

    def fresh(self) -> int:
        """An `ident` that no row has or had."""
        with self._guard:
            self._next += 1
            return self._next

    def insert(self, ident: int, version: Version, values: Mapping[str, Value], *, alone: bool = False) -> None:
        row = Row({}, dict(self.kind.adds), alone=alone)
        self._write(row, version, values)
        for pair in self.kind.pairs:
            if version == "new" and pair.new is None and pair.down is not None:
                row.old[pair.old] = pair.down(None)
        row.old = dict.fromkeys(WRITTEN) | row.old
        with self._guard:
            self.rows[ident] = row
            self.count += 1

    def update(self, ident: int, version: Version, values: Mapping[str, Value]) -> None:
        with self._guard:
            self.count += 1
        self.rows[ident].updated = True
        self._write(self.rows[ident], version, values)

    def delete(self, ident: int) -> None:
        with self._guard:
            self.count += 1
            del self.rows[ident]

    def _write(self, row: Row, version: Version, values: Mapping[str, Value]) -> None:
        by_views = self.kind.views and version == "new"
        arriving = {pair.new: pair for pair in self._beside if by_views or not pair.swap}
        for column, value in values.items():
            if column in arriving or column in self.kind.adds:
                changed = column not in row.new or row.new[column] != value
                row.new[column] = value
                pair = arriving.get(column)
                alone = pair is not None and (pair.old == column or pair.old not in values)
                if pair is not None and alone and pair.down is not None and changed:
                    row.old[pair.old] = pair.down(value)
                continue
            changed = column not in row.old or row.old[column] != value
            row.old[column] = value
            for pair in self._beside:
                if pair.old == column and changed and (pair.swap or pair.new not in values):
                    _go_up(pair, row)

    # --- what must be --------------------------------------------------------------------------------

    def unmappable(self) -> Iterator[tuple[int, Pair]]:
        """Rows that are in conflict."""
        for ident, row in [*self.rows.items()]:
            for pair in self._beside:
                if row.new[pair.new or ""] is None and row.old[pair.old] is not None:
                    yield ident, pair

    def as_old(self) -> dict[int, dict[str, Value]]:
        """The rows as the old version shall find them."""
        return {ident: dict(row.old) for ident, row in self.rows.items() if not row.alone}

    def as_alone(self) -> dict[int, dict[str, Value]]:
        """The rows that stay in the table of the new version when it is taken back."""
        return {ident: dict(row.old) for ident, row in self.rows.items() if row.alone}

    def as_new(self) -> dict[int, dict[str, Value]]:
        """The rows as they shall be when the migration is complete."""
        gone = {pair.old for pair in self.kind.pairs if not pair.stays}
        found: dict[int, dict[str, Value]] = {}
        for ident, row in self.rows.items():
            kept = {column: value for column, value in row.old.items() if column not in gone}
            found[ident] = kept | row.new
            for column, change in self.kind.sets.items():
                if kept[column] is not None:
                    found[ident][column] = change(kept[column])
        return found


def _go_up(pair: Pair, row: Row) -> None:
    try:
        row.new[pair.new or ""] = pair.up(row.old[pair.old])
    except Unmappable:
        row.new[pair.new or ""] = None
