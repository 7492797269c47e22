"""Our own expectations, as Great Expectations runs them. Importing this imports Great Expectations: seconds.

Those that count rows of the suite do so with an aggregate: Great Expectations merges aggregates over the same
rows into one SELECT, so ten of them cost one scan.
"""

# Great Expectations leaves the type arguments of its dicts and engines open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies
from pydantic.v1 import Field
from sqlalchemy import BigInteger, ColumnElement, literal_column, select

from crossfade.composing import sql
from crossfade.gates.expectations.names import relation
from crossfade.spec.fragment import trusted

_ROWS = "table.row_count"
_UNEXPECTED = "crossfade.unexpected_rows"
_FOUND = "crossfade.rows_found"


class UnexpectedRows(TableMetricProvider):
    """Of the rows of the suite, how many the aggregate in `sql` counts."""

    metric_name = _UNEXPECTED
    value_keys = ("sql",)

    @metric_partial(
        engine=SqlAlchemyExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _sqlalchemy(
        cls,  # noqa: N805 - Great Expectations calls it with the class
        *,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: Mapping[str, str],
        **_: Any,
    ) -> tuple[ColumnElement[int], dict[str, Any], dict[str, Any]]:
        return literal_column(metric_value_kwargs["sql"]), metric_domain_kwargs, {}


class RowsFound(TableMetricProvider):
    """How many rows the query in `sql` gives, whatever it reads."""

    metric_name = _FOUND
    value_keys = ("sql",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805 - Great Expectations calls it with the class
        *,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_value_kwargs: Mapping[str, str],
        **_: Any,
    ) -> int:
        count = literal_column(f"(SELECT count(*) FROM ({metric_value_kwargs['sql']}\n) AS found)", BigInteger)
        return cast(int, execution_engine.execute_query(select(count)).scalar_one())


class _Counting(BatchExpectation):
    """An expectation that counts the rows it is not true of, and says no more of them."""

    counts: ClassVar[str] = _UNEXPECTED

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
        # The keys of a table's own metrics: other keys would make it another domain, and so another scan.
        domain: dict[str, Any] = dict.fromkeys(TableMetricProvider.domain_keys)
        domain["batch_id"] = self.batch_id
        needed.set_metric_configuration(_ROWS, MetricConfiguration(_ROWS, dict(domain), {}))
        count = MetricConfiguration(self.counts, dict(domain), {"sql": self.unexpected_sql()})
        needed.set_metric_configuration(_UNEXPECTED, count)
        return needed

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        rows, unexpected = int(metrics[_ROWS]), int(metrics[_UNEXPECTED])
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

    counts: ClassVar[str] = _FOUND

    unexpected_rows_query: str

    def unexpected_sql(self) -> str:
        return self.unexpected_rows_query


PUBLISHED: tuple[type[BatchExpectation], ...] = (ExpectColumnsToAgree, ExpectForeignKeyToHold)

# Great Expectations' name in a suite -> what is run instead.
IN_PLACE_OF: Mapping[str, type[BatchExpectation]] = {"unexpected_rows_expectation": ExpectQueryToFindNoRows}
