"""What our own expectations measure, as Great Expectations computes it. Importing this imports it: seconds."""

# Great Expectations leaves the type arguments of its dicts and engines open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.validator.metric_configuration import MetricConfiguration
from sqlalchemy import BigInteger, ColumnElement, String, literal_column, select

ROWS = "table.row_count"
UNEXPECTED = "crossfade.unexpected_rows"
FOUND = "crossfade.rows_found"
CHECKSUM = "crossfade.checksum"


class _Aggregate(TableMetricProvider):
    """Of the rows of the suite, the aggregate in `sql`. read_as: what SQLAlchemy is to read it as; None: as it is."""

    value_keys = ("sql",)
    read_as: ClassVar[type[String] | None] = None

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
    ) -> tuple[ColumnElement[Any], dict[str, Any], dict[str, Any]]:
        return literal_column(metric_value_kwargs["sql"], cls.read_as), metric_domain_kwargs, {}


class UnexpectedRows(_Aggregate):
    """How many rows the aggregate counts."""

    metric_name = UNEXPECTED


class Checksum(_Aggregate):
    """What the aggregate makes of the rows, whatever their order."""

    metric_name = CHECKSUM
    read_as = String


class RowsFound(TableMetricProvider):
    """The number that the query in `sql` gives, whatever it reads."""

    metric_name = FOUND
    value_keys = ("sql",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805 - Great Expectations calls it with the class
        *,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_value_kwargs: Mapping[str, str],
        **_: Any,
    ) -> int:
        number = literal_column(f"({metric_value_kwargs['sql']}\n)", BigInteger)
        return cast(int, execution_engine.execute_query(select(number)).scalar_one())


def of_table(metric: str, batch: str | None, **values: str) -> MetricConfiguration:
    """A metric of the suite's rows."""
    # The keys of a table's own metrics: other keys would make it another domain, and so another scan.
    domain: dict[str, Any] = dict.fromkeys(TableMetricProvider.domain_keys)
    domain["batch_id"] = batch
    return MetricConfiguration(metric, domain, values)
