"""Our own expectations, as Great Expectations runs them. Importing this imports Great Expectations: seconds.

Those that count rows of the suite do so with an aggregate: Great Expectations merges aggregates over the same
rows into one SELECT, so ten of them cost one scan.
"""

# Great Expectations leaves the type arguments of its dicts and engines open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Optional

from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.validator.validator import ValidationDependencies
from pydantic.v1 import Field

from crossfade.composing import sql
from crossfade.gates.expectations.elsewhere import checksum
from crossfade.gates.expectations.metrics import CHECKSUM, FOUND, ROWS, UNEXPECTED, of_table
from crossfade.gates.expectations.names import relation
from crossfade.spec.fragment import trusted


class _Counting(BatchExpectation):
    """An expectation that counts the rows it is not true of, and says no more of them."""

    counts: ClassVar[str] = UNEXPECTED

    @abstractmethod
    def unexpected_sql(self) -> str:
        """What counts the unexpected rows: SQL for the metric named in `counts`."""

    @property
    def wanted_share(self) -> float:
        """The share of rows that must be as expected."""
        return float(getattr(self, "mostly", 1.0))

    def get_validation_dependencies(
        self,
        execution_engine: ExecutionEngine[Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> ValidationDependencies:
        needed = super().get_validation_dependencies(execution_engine, runtime_configuration)
        needed.set_metric_configuration(ROWS, of_table(ROWS, self.batch_id))
        count = of_table(self.counts, self.batch_id, sql=self.unexpected_sql())
        needed.set_metric_configuration(UNEXPECTED, count)
        return needed

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        rows, unexpected = int(metrics[ROWS]), int(metrics[UNEXPECTED])
        enough = rows > 0 and (rows - unexpected) / rows >= self.wanted_share
        return {
            "success": unexpected == 0 or enough,
            "result": {"element_count": rows, "unexpected_count": unexpected},
        }


class ExpectColumnsToAgree(_Counting):
    """Expect a column to equal an expression over the same row, NULL being equal to NULL."""

    column: str = Field(min_length=1, description="The column name.")
    to: str = Field(description="SQL over the row that gives what the column should hold.")
    mostly: float = Field(1.0, ge=0, le=1, description="The share of rows that must agree.")

    def unexpected_sql(self) -> str:
        return (
            sql.SQL("count(*) FILTER (WHERE {} IS DISTINCT FROM ({}\n))")
            .format(sql.Identifier(self.column), trusted(self.to))
            .as_string()
        )


class ExpectForeignKeyToHold(_Counting):
    """Expect every value of a column that is not NULL to stand in a column of a parent table."""

    column: str = Field(min_length=1, description="The column name.")
    parent_table: str = Field(description="The table that should have the values: users, or schema.users.")
    parent_column: str = Field(min_length=1, description="The column of the parent table.")
    mostly: float = Field(1.0, ge=0, le=1, description="The share of rows that must have a parent.")

    def unexpected_sql(self) -> str:
        # The parent's column under another name, so that `{column}` without a qualifier is the suite's, also
        # where both tables call it the same.
        return (
            sql.SQL("""count(*) FILTER (WHERE {column} IS NOT NULL AND NOT EXISTS (
  SELECT FROM (SELECT {parent_column} AS _cf_key FROM {parent}) AS _cf_parent WHERE _cf_key = {column}))""")
            .format(
                column=sql.Identifier(self.column),
                parent_column=sql.Identifier(self.parent_column),
                parent=relation(self.parent_table),
            )
            .as_string()
        )


class ExpectQueryToFindNoRows(_Counting):
    """Great Expectations' unexpected_rows_expectation, which itself fetches the rows it finds."""

    counts: ClassVar[str] = FOUND

    unexpected_rows_query: str

    def unexpected_sql(self) -> str:
        return f"SELECT count(*) FROM ({self.unexpected_rows_query}\n) AS found"


class ExpectBackfillToBeComplete(_Counting):
    """Expect a column to have a value wherever the expression that fills it gives one."""

    column: str = Field(min_length=1, description="The column name.")
    up: str = Field(description="SQL over the row that gives the column's value.")
    mostly: float = Field(1.0, ge=0, le=1, description="The share of rows that must be filled.")

    def unexpected_sql(self) -> str:
        return (
            sql.SQL("count(*) FILTER (WHERE {} IS NULL AND ({}\n) IS NOT NULL)")
            .format(sql.Identifier(self.column), trusted(self.up))
            .as_string()
        )


class ExpectNoDuplicatesUnder(_Counting):
    """Expect an expression over the row to give each value once, NULL being equal to nothing."""

    expression: str = Field(description="SQL over the row.")
    mostly: float = Field(1.0, ge=0, le=1, description="The share of rows that need not go for each value to be once.")

    def unexpected_sql(self) -> str:
        return sql.SQL("count(({0}\n)) - count(DISTINCT ({0}\n))").format(trusted(self.expression)).as_string()


class ExpectDistributionToBeUnchanged(_Counting):
    """Expect a column to have its values as often as an expression gives them, in whichever rows."""

    counts: ClassVar[str] = FOUND

    column: str = Field(min_length=1, description="The column name.")
    to: str = Field(description="SQL over the row that gives what the column is compared to.")
    bins: Optional[list[float]] = Field(  # noqa: UP045 - pydantic 1 reads it
        None, min_items=1, description="Bounds, rising: numbers between two of them are one value."
    )
    mostly: float = Field(1.0, ge=0, le=1, description="The share of rows that must have their like on the other side.")
    batch: str = Field("", description="The query that gives the suite's rows.")

    def unexpected_sql(self) -> str:
        column, other = (self._bucket(side) for side in (sql.Identifier(self.column), trusted(self.to)))
        # Of each bucket the surplus of one side is missing in another bucket, so each such row is counted twice.
        return (
            sql.SQL("""SELECT pg_catalog.sum(pg_catalog.abs(surplus))::bigint / 2 FROM (
  SELECT pg_catalog.sum(side) AS surplus FROM (
    SELECT b, side FROM ({batch}
) AS _cf_batch CROSS JOIN LATERAL (VALUES ({column}, 1), ({other}, -1)) AS _cf_sides (b, side)) AS _cf_values
   GROUP BY b) AS _cf_buckets""")
            .format(batch=trusted(self.batch), column=column, other=other)
            .as_string()
        )

    def _bucket(self, value: sql.Composable) -> sql.Composable:
        if self.bins:
            bounds = sql.SQL(", ").join(sql.Literal(bound) for bound in self.bins)
            return sql.SQL("pg_catalog.width_bucket(({}\n)::float8, ARRAY[{}]::float8[])").format(value, bounds)
        # Few enough to be counted in memory, whatever the values.
        return sql.SQL("pg_catalog.hashtextextended(({}\n)::text, 0) & 65535").format(value)


class ExpectRowsToMatchAnotherDatabase(BatchExpectation):
    """Expect as many rows as a table or query of another database has, and the same ones in whatever order."""

    database: str = Field(min_length=1, description="A name from databases.yaml.")
    table: Optional[str] = Field(None, description="The table there: users, or schema.users.")  # noqa: UP045
    query: Optional[str] = Field(None, description="Or the rows there, where they are not a whole table.")  # noqa: UP045
    column_list: list[str] = Field(min_items=1, description="The columns compared, by the names both sides give them.")
    found: Optional[list[str]] = Field(None, description="Rows and checksum there, as numbers.")  # noqa: UP045

    def get_validation_dependencies(
        self,
        execution_engine: ExecutionEngine[Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> ValidationDependencies:
        needed = super().get_validation_dependencies(execution_engine, runtime_configuration)
        needed.set_metric_configuration(ROWS, of_table(ROWS, self.batch_id))
        wanted = checksum(self.column_list).as_string()
        needed.set_metric_configuration(CHECKSUM, of_table(CHECKSUM, self.batch_id, sql=wanted))
        return needed

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        assert self.found is not None, "the gate asks the other database first"
        rows, there = int(metrics[ROWS]), int(self.found[0])
        same = rows == there and metrics[CHECKSUM] == self.found[1]
        said = "as many, but not the same" if rows == there else f"{rows:,} rows here, {there:,} there"
        return {"success": same, "result": {"observed_value": "the same rows" if same else said}}


PUBLISHED: tuple[type[BatchExpectation], ...] = (
    ExpectBackfillToBeComplete,
    ExpectColumnsToAgree,
    ExpectDistributionToBeUnchanged,
    ExpectForeignKeyToHold,
    ExpectNoDuplicatesUnder,
    ExpectRowsToMatchAnotherDatabase,
)

# Great Expectations' name in a suite -> what is run instead.
IN_PLACE_OF: Mapping[str, type[BatchExpectation]] = {"unexpected_rows_expectation": ExpectQueryToFindNoRows}
