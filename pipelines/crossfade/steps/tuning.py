"""What a column is told besides its type: how it is stored and compressed, and what the planner shall think of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import LiteralString

from crossfade.catalog.model import Column
from crossfade.composing import sql
from crossfade.spec.fragment import trusted

_STORAGE: dict[str, LiteralString] = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}


@dataclass(frozen=True)
class Tuning:
    """A column's settings where they are not those that its type brings.

    storage: as pg_attribute spells it, a letter. options: texts such as n_distinct=-1.
    """

    statistics: int | None = None
    storage: str | None = None
    compression: str | None = None
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, column: Column) -> Tuning:
        return cls(column.statistics_target, column.storage, column.compression, column.options)

    def for_another_type(self) -> Tuning:
        """Without what only some types can take."""
        return replace(self, storage=None, compression=None)

    def clauses(self, column: str) -> Iterator[sql.Composable]:
        """What ALTER TABLE is told so that the column, new or added again, has them."""
        name = sql.Identifier(column)
        if self.statistics is not None:
            yield sql.SQL("ALTER COLUMN {} SET STATISTICS {}").format(name, sql.Literal(self.statistics))
        if self.storage is not None:
            yield sql.SQL("ALTER COLUMN {} SET STORAGE {}").format(name, sql.SQL(_STORAGE[self.storage]))
        if self.compression is not None:
            yield sql.SQL("ALTER COLUMN {} SET COMPRESSION {}").format(name, trusted(self.compression))
        for option in self.options:
            key, _, value = option.partition("=")
            yield sql.SQL("ALTER COLUMN {} SET ({} = {})").format(name, sql.Identifier(key), sql.Literal(value))
