"""What a comparison finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from crossfade.catalog import Name

Kind = Literal["differs", "missing_in_a", "missing_in_b"]
Key = tuple[str | None, ...]  # the texts of its values


@dataclass(frozen=True)
class Difference:
    """A key whose rows are not the same on both sides. position: where the rows of that key are looked for."""

    key: Key
    kind: Kind
    position: int


@dataclass(frozen=True)
class Comparison:
    """Two tables compared.

    a, b: the sides' names. rows: of each side. differences: those found, by key. more: there are others, which were not
    looked for. settled: keys that differed at first and agreed later. notes: what a reader should know of the columns.
    key_of: where the values of keys come from, as database, table and column.
    """

    a: str
    b: str
    rows: tuple[int, int]
    columns: tuple[str, ...]
    key: tuple[str, ...]
    differences: tuple[Difference, ...]
    more: bool = False
    settled: int = 0
    notes: tuple[str, ...] = ()
    key_of: frozenset[tuple[str, Name, str]] = frozenset()

    @property
    def equal(self) -> bool:
        return not self.differences and not self.more

    @property
    def kinds(self) -> Mapping[Kind, int]:
        """How many of the differences are of each kind."""
        counted = Counter(each.kind for each in self.differences)
        return {kind: counted[kind] for kind in get_args(Kind)}

    @property
    def verdict(self) -> str:
        """In one sentence, without a key."""
        if self.equal:
            settled = f", {_rows(self.settled)} after a while" if self.settled else ""
            return f"{_rows(self.rows[0])}, the same on both sides{settled}"
        if not self.differences:
            return f"they differ; {self.a} has {_rows(self.rows[0])}, {self.b} {self.rows[1]:,}"
        least = "at least " if self.more else ""
        words = {"differs": "differ", "missing_in_a": f"missing in {self.a}", "missing_in_b": f"missing in {self.b}"}
        parts = [f"{count:,} {words[kind]}" for kind, count in self.kinds.items() if count]
        settled = f"; {_rows(self.settled)} differed at first and agreed later" if self.settled else ""
        return f"{least}{_rows(len(self.differences))} not the same: {', '.join(parts)}{settled}"

    def told(self, *, keys: bool) -> dict[str, Any]:
        """As JSON. keys: with those of rows that differ, which are values of the data."""
        listed = [{"key": dict(zip(self.key, each.key, strict=True)), "kind": each.kind} for each in self.differences]
        return {
            "equal": self.equal,
            "a": {"name": self.a, "rows": self.rows[0]},
            "b": {"name": self.b, "rows": self.rows[1]},
            "columns": list(self.columns),
            "key": list(self.key),
            "found": dict(self.kinds),
            "more": self.more,
            "settled": self.settled,
            "notes": list(self.notes),
            **({"differences": listed} if keys else {}),
        }


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
