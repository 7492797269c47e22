"""What a client wrote and had acknowledged, to be held against the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

Value = int | str | datetime | None
Row = Mapping[str, Value]
Key = int | str


class Memory:
    """The rows of one client: no other client writes them, so what it wrote last must stand there.

    A row is remembered by the columns that were written; None is a row that was deleted.
    """

    def __init__(self) -> None:
        self.writes = 0
        self._rows: dict[str, dict[Key, dict[str, Value] | None]] = {}

    def wrote(self, table: str, key: Key, values: Row) -> None:
        self.writes += 1
        rows = self._rows.setdefault(table, {})
        rows[key] = {**(rows.get(key) or {}), **values}

    def deleted(self, table: str, key: Key) -> None:
        self.writes += 1
        self._rows.setdefault(table, {})[key] = None

    def differs(self, table: str, key: Key, found: Row) -> bool:
        """Whether a row that was read is another than was written; columns never written may hold anything."""
        known = self._rows.get(table, {}).get(key) or {}
        return any(comparable(found[column]) != value for column, value in known.items() if column in found)

    def of(self, table: str) -> Iterator[tuple[Key, Row | None]]:
        yield from self._rows.get(table, {}).items()


def comparable(value: Value) -> Value:
    """A moment in time is the same as text and as a timestamp."""
    if isinstance(value, str) and len(value) == len("2013-01-01T05:00:00Z") and value.endswith("Z"):
        return datetime.fromisoformat(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value
