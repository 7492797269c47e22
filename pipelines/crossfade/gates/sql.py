"""sql: a query of one's own that gives true when it is time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from crossfade.composing import sql
from crossfade.gates._failure import asking
from crossfade.gates._gate import Answer, Foresight, Gate, GateContext, GateError
from crossfade.gates._query import Query
from crossfade.spec.fragment import trusted

if TYPE_CHECKING:
    import psycopg

_BOOLEAN = 16  # pg_type.oid
_SHOWN = 60


class SqlGate(Gate):
    """Hold when a query gives true; it runs in a read-only session."""

    costly: ClassVar[bool] = True  # nobody knows what it reads

    sql: Query = Field(description="A query that gives one row with one boolean.")
    database: str | None = Field(
        None, description="A name from databases.yaml; default: the database of the migration."
    )
    title: str | None = Field(None, description="What it asks, in a few words.", examples=["no open orders"])

    @property
    def label(self) -> str:
        text = self.title or " ".join(self.sql.split())
        return "sql " + (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")

    def ask(self, context: GateContext) -> Answer:
        database = self.database or context.database
        # Two rows are enough to see that it is not one.
        query = sql.SQL("SELECT * FROM ({}\n) AS answer LIMIT 2").format(trusted(self.sql))
        with asking(self.label), context.open(database) as session:
            cursor = session.execute(query)
            columns, rows = cursor.description or [], cursor.fetchall()
        evidence = {"database": database, "query": self.sql}
        if (found := _misshapen(columns)) is not None:
            return Answer("never", found, evidence=evidence)
        if len(rows) != 1:
            found = "several rows" if rows else "no row"
            return Answer("never", f"it gives {found}, not one", evidence=evidence)
        match rows[0][0]:
            case True:
                return Answer("holds", "it gives true", evidence=evidence)
            case None:
                return Answer("waits", "it gives NULL", evidence=evidence)
            case _:
                return Answer("waits", "it gives false", evidence=evidence)

    def foresee(self, foresight: Foresight) -> None:
        columns = foresight.columns(self.sql, self.database or foresight.database)
        if columns is not None and (found := _misshapen(columns)) is not None:
            raise GateError(
                f"{self.label}: {found}",
                why="a gate holds when its query gives true, in one row of one column",
                fix="write a condition, e.g. SELECT count(*) = 0 FROM ...",
            )


def _misshapen(columns: Sequence[psycopg.Column]) -> str | None:
    """What the query gives where that is not one boolean."""
    if len(columns) == 1 and columns[0].type_code == _BOOLEAN:
        return None
    return f"it gives ({', '.join(str(column.type_display) for column in columns)}), not one boolean"
