"""healthy: replicas keep up, and a number such as an error rate is within its bound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from crossfade.composing import sql
from crossfade.gates._failure import asking
from crossfade.gates._gate import Answer, Foresight, Gate, GateContext, GateError, GateUnanswered
from crossfade.gates._query import Query
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Duration, SpecModel, format_duration

if TYPE_CHECKING:
    import psycopg

_LONGEST_LAG = timedelta(seconds=30)
_BETWEEN = 0.05  # seconds
_NUMBERS = {20, 21, 23, 700, 701, 1700}  # pg_type.oid of smallint, int, bigint, real, double precision, numeric

# A base backup replays nothing; what a role may not see is NULL.
_REPLICAS = """
SELECT pg_catalog.count(*) FILTER (WHERE state IN ('streaming', 'catchup')),
       pg_catalog.count(*) FILTER (WHERE state IS NULL),
       pg_catalog.count(*) FILTER (WHERE state IN ('streaming', 'catchup')
                                     AND (replay_lsn IS NULL OR replay_lsn < %(position)s::pg_lsn))
  FROM pg_stat_replication"""


class Healthy(SpecModel):
    """What must be well."""

    replica_lag: Duration | None = Field(
        None, description="Every replica replays within this time what is written when the gate is asked; 30s at most."
    )
    replicas: Annotated[int, Field(ge=1)] | None = Field(
        None, description="With `replica_lag`: how many must be there; one that is down is not seen otherwise."
    )
    query: Query | None = Field(None, description="A query that gives one number.")
    at_most: float | None = Field(None, description="With `query`: the greatest that is well.", examples=[0.01])

    @field_validator("replica_lag")
    @classmethod
    def _lag_can_be_waited_for(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value > _LONGEST_LAG:
            raise ValueError("a lag is measured by waiting for it, so 30s is the longest")
        return value

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        if self.replica_lag is None and self.query is None:
            raise ValueError("`replica_lag`, or `query` with `at_most`, says what must be well")
        if (self.query is None) != (self.at_most is None):
            raise ValueError("`query` and `at_most` go together")
        if self.replicas is not None and self.replica_lag is None:
            raise ValueError("`replicas` goes with `replica_lag`")
        return self


class HealthyGate(Gate):
    """Hold when replicas keep up, and a query's number is within its bound."""

    costly: ClassVar[bool] = True  # a lag is waited for, and nobody knows what the query reads

    healthy: Healthy = Field(description="What must be well.")
    database: str | None = Field(
        None, description="A name from databases.yaml; default: the database of the migration."
    )
    title: str | None = Field(None, description="What the query asks, in a few words.", examples=["errors a request"])

    @property
    def label(self) -> str:
        healthy = self.healthy
        parts = [f"replica_lag {format_duration(healthy.replica_lag)}"] if healthy.replica_lag is not None else []
        if healthy.query is not None:
            parts.append(f"{self.title or ' '.join(healthy.query.split())[:60]} at most {healthy.at_most:g}")
        return f"healthy {', '.join(parts)}{f' in {self.database}' if self.database else ''}"

    def ask(self, context: GateContext) -> Answer:
        database = self.database or context.database
        with asking(self.label), context.open(database) as session:
            answers = [*self._of_replicas(session, database, context.seconds), *self._of_query(session)]
        worst = min(answers, key=lambda answer: ["never", "waits", "holds"].index(answer.state))
        evidence: dict[str, Any] = {"database": database}
        for answer in answers:
            evidence |= answer.evidence
        reasons = [answer.reason for answer in answers if answer.state == worst.state]
        return Answer(worst.state, "; ".join(reasons), evidence=evidence)

    def foresee(self, foresight: Foresight) -> None:
        if self.healthy.query is None:
            return
        columns = foresight.columns(self.healthy.query, self.database or foresight.database)
        if columns is not None and (found := _misshapen(columns)) is not None:
            raise GateError(
                f"{self.label}: {found}",
                why="a number is compared with `at_most`",
                fix="write a query that gives one, e.g. SELECT count(*) FROM ...",
            )

    def _of_replicas(self, session: psycopg.Connection[Any], database: str, patience: float | None) -> Sequence[Answer]:
        """Look until what is written now is replayed: replay_lag of the view stands still while replay is paused."""
        limit = self.healthy.replica_lag
        if limit is None:
            return ()
        row = session.execute("SELECT pg_catalog.pg_current_wal_flush_lsn()::text").fetchone()
        assert row is not None
        begun = time.monotonic()
        while True:
            found = session.execute(_REPLICAS.encode(), {"position": row[0]}).fetchone()
            assert found is not None
            there, hidden, behind = found
            if hidden:
                raise GateError(
                    f"{self.label}: the role that runs migrations may not see how far replicas are",
                    fix=f"GRANT pg_read_all_stats TO it in database {database}",
                )
            seconds = time.monotonic() - begun
            if not behind or seconds >= limit.total_seconds():
                break
            if patience is not None and seconds >= patience:
                raise GateUnanswered(
                    f"{self.label}: {behind} of {there} replicas have not replayed yet",
                    why=f"whether they do within {format_duration(limit)} is known after that time",
                )
            time.sleep(_BETWEEN)
        evidence = {"replicas": there, "behind": behind, "seconds": round(seconds, 2)}
        if there < (self.healthy.replicas or 0):
            return [Answer("waits", f"{there} of {self.healthy.replicas} replicas are there", evidence=evidence)]
        if behind:
            said = f"further behind than {format_duration(limit)}: {behind} of {there} replicas"
            return [Answer("waits", said, evidence=evidence)]
        keeping_up = "1 replica keeps up" if there == 1 else f"{there} replicas keep up"
        return [Answer("holds", keeping_up if there else "it has no replica", evidence=evidence)]

    def _of_query(self, session: psycopg.Connection[Any]) -> Sequence[Answer]:
        query, most = self.healthy.query, self.healthy.at_most
        if query is None or most is None:
            return ()
        # Two rows are enough to see that it is not one.
        cursor = session.execute(sql.SQL("SELECT * FROM ({}\n) AS answer LIMIT 2").format(trusted(query)))
        columns, rows = cursor.description or [], cursor.fetchall()
        evidence: dict[str, Any] = {"query": query, "at_most": most}
        if (shape := _misshapen(columns)) is not None:
            return [Answer("never", shape, evidence=evidence)]
        if len(rows) != 1:
            return [Answer("never", f"it gives {'several rows' if rows else 'no row'}, not one", evidence=evidence)]
        number = rows[0][0]
        if number is None:
            return [Answer("waits", "the query gives NULL", evidence=evidence)]
        evidence["number"] = float(number)
        # NaN is within no bound.
        if Decimal(str(number)).is_nan() or float(number) > most:
            return [Answer("waits", f"{float(number):g} is more than {most:g}", evidence=evidence)]
        return [Answer("holds", f"{float(number):g} is at most {most:g}", evidence=evidence)]


def _misshapen(columns: Sequence[psycopg.Column]) -> str | None:
    """What the query gives where that is not one number."""
    if len(columns) == 1 and columns[0].type_code in _NUMBERS:
        return None
    return f"it gives ({', '.join(str(column.type_display) for column in columns)}), not one number"
