"""What makes rows of a table duplicates, and the list of those that were found."""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.catalog.model import Table
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.steps.compose import equal, identifier, names, same_key
from crossfade.steps.repoint import kept

# Of the pairs with one kept row the first one: it stands for all of them.
LEADS = "_cf_leads"


@dataclass(frozen=True)
class Duplicates:
    """What makes rows of a table duplicates, and which is kept.

    by: each value with its type; NULL equals nothing. order: the first is kept; each value with its direction. where:
    the rows that count at all.
    """

    table: Table
    by: tuple[tuple[Expression, str], ...]
    order: tuple[tuple[Expression, str], ...]
    where: Expression | None

    def matches(self, row: str) -> sql.Composable:
        """The row may have a duplicate."""
        bare = self.table.name.name
        held: list[sql.Composable] = [sql.SQL("{} IS NOT NULL").format(value) for value in self.values(row)]
        if self.where is not None:
            held.append(self.where.render(bare, row))
        return sql.SQL("({})").format(sql.SQL(" AND ").join(held))

    def equals(self, left: str, right: str) -> sql.Composable:
        types = (type_ for _, type_ in self.by)
        pairs = zip(types, self.values(left), self.values(right), strict=True)
        return sql.SQL(" AND ").join(equal(*pair) for pair in pairs)

    def values(self, row: str | None) -> list[sql.Composable]:
        return [value.render(self.table.name.name, row) for value, _ in self.by]

    def window(self, row: str) -> sql.Composable:
        """The row's duplicates with itself, the one to be kept first."""
        return sql.SQL("PARTITION BY {} ORDER BY {}").format(sql.SQL(", ").join(self.values(row)), self.order_of(row))

    def order_of(self, row: str) -> sql.Composable:
        order = [
            sql.SQL("{} {}").format(value.render(self.table.name.name, row), trusted(direction))
            for value, direction in self.order
        ]
        return sql.SQL(", ").join([*order, names(self.table.key, of=row)])


@dataclass(frozen=True)
class Pairs:
    """The work list of a merge: each row that goes, by its own columns, with the one that is kept, by columns `kept`.

    stored: the name of its table in the schema crossfade.
    """

    of: Duplicates
    stored: str

    @property
    def sql(self) -> sql.Identifier:
        return sql.Identifier("crossfade", self.stored)

    @property
    def table(self) -> sql.Identifier:
        return identifier(self.of.table.name)

    def found(self, pairs: sql.Composable) -> sql.Composable:
        """Pairs as `m`, each with the row that goes as `t` and the kept one as `k`."""
        return sql.SQL("{} AS m JOIN {table} AS t ON {} JOIN {table} AS k ON {}").format(
            pairs, self.goes("t", "m"), self.stays("k", "m"), table=self.table
        )

    def goes(self, row: str, pair: str) -> sql.Composable:
        return same_key(self.of.table.key, self._types, row, pair)

    def stays(self, row: str, pair: str) -> sql.Composable:
        return sql.SQL(" AND ").join(
            equal(self._types[column], sql.Identifier(row, column), sql.Identifier(pair, kept(column)))
            for column in self.of.table.key
        )

    def same_kept(self, left: str, right: str) -> sql.Composable:
        """Two pairs are of one set."""
        return sql.SQL(" AND ").join(
            equal(self._types[column], sql.Identifier(left, kept(column)), sql.Identifier(right, kept(column)))
            for column in self.of.table.key
        )

    def still(self, goes: str, stays: str) -> sql.Composable:
        """Both rows are duplicates at the moment."""
        return sql.SQL(" AND ").join([self.of.matches(goes), self.of.matches(stays), self.of.equals(goes, stays)])

    @property
    def _types(self) -> dict[str, str]:
        return {column.name: column.type for column in self.of.table.columns}
