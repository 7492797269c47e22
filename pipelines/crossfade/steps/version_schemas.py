"""The two schemas of views by which the versions of an application see one schema's tables while a migration runs.

A session says by its search_path which version it is of. What it says is asked of PostgreSQL (current_schemas), never
of the text of the setting, which has many spellings.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.composing import sql

_LAST = 2**31 - 1


@dataclass(frozen=True)
class VersionSchemas:
    """tables: the schema of the tables. new, old: those of their views for the new version and the one before."""

    tables: str
    new: str
    old: str

    @classmethod
    def of(cls, tables: str, migration: str) -> VersionSchemas:
        return cls(tables, f"{tables}_{migration}", f"{tables}_before_{migration}")

    def writer_is_new(self, *, turned: bool) -> sql.Composable:
        """A boolean, never NULL, over the session that asks: unqualified names mean the new version's tables.

        turned: the tables themselves have the new shape by now.
        """
        if turned:
            return sql.SQL("({} IS NOT TRUE)").format(_comes_first(self.old, self.new, self.tables))
        return sql.SQL("({} IS TRUE)").format(_comes_first(self.new, self.old, self.tables))


def _comes_first(schema: str, *others: str) -> sql.Composable:
    return sql.SQL("({} < coalesce(least({}), {}))").format(
        _place(schema), sql.SQL(", ").join(map(_place, others)), sql.Literal(_LAST)
    )


def _place(schema: str) -> sql.Composable:
    """Where the schema stands among those that names are looked up in; NULL: nowhere."""
    return sql.SQL("pg_catalog.array_position(pg_catalog.current_schemas(false), {}::name)").format(sql.Literal(schema))
