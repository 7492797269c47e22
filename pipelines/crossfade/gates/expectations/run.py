"""Runs a suite on PostgreSQL with Great Expectations, and keeps counts only.

Great Expectations' own way, a data source with a query asset, is not taken: it fetches all rows to learn the
columns, puts `%` and `:` of the query through SQLAlchemy twice, and opens two pools. What lies below it is used:
execution engine, batch data, validator. Importing this imports Great Expectations: seconds.
"""

# Great Expectations leaves the type arguments of its dicts open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg2
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.validator.validator import Validator
from psycopg import conninfo
from sqlalchemy import Dialect, Engine, Inspector, create_engine, text

from crossfade.errors import Problem
from crossfade.gates._failure import unasked
from crossfade.gates._gate import GateError, GateUnanswered
from crossfade.gates._query import with_batch
from crossfade.gates.expectations import own
from crossfade.gates.expectations.outcome import Outcome, Report
from crossfade.gates.expectations.subject import Subject
from crossfade.gates.expectations.suite import Expected, Suite
from crossfade.server_words import told_of

_APPLICATION = "crossfade gate"
_CONNECT_SECONDS = "10"
_BATCH = "_cf_batch"
_A_FEW = 100  # rows

# BASIC has the counts. The queries that would fetch unexpected values have LIMIT 0, so they read nothing.
_RESULT_FORMAT = {
    "result_format": "BASIC",
    "partial_unexpected_count": 0,
    "exclude_unexpected_values": True,
    "include_unexpected_rows": False,
}


def run(suite: Suite, subject: Subject, url: str) -> Report:
    """Ask all expectations of the suite; raises GateError when one of them cannot be asked.

    url: of the suite's database, with the password; it goes nowhere but to the server.
    """
    asked = [_configuration(expected, subject) for expected in suite.expectations]
    rows = ExpectationConfiguration(type="expect_table_row_count_to_be_between", kwargs={"min_value": 0})
    with _engine(url, subject.options) as engine, _quiet():
        try:
            counted, *results = _validated(engine, subject.source, subject.columns, [rows, *asked])
        except Exception as error:  # Great Expectations raises what it and its libraries like
            # Not as its cause: a traceback would print statements, values and DETAIL.
            raise _refusal(error, suite, subject, asked, engine) from None
    outcomes = [
        Outcome.of(expected, bool(result.success), cast(dict[str, Any], result.result))
        for expected, result in zip(suite.expectations, results, strict=True)
    ]
    return Report(suite, cast(dict[str, int], counted.result)["observed_value"], outcomes, subject.sampled)


def _configuration(expected: Expected, subject: Subject) -> ExpectationConfiguration:
    """The expectation as Great Expectations takes it."""
    name, arguments = expected.name, dict(expected.arguments)
    if "type_" in arguments:
        arguments["type_"] = subject.types[arguments["type_"]]
    if "type_list" in arguments:
        arguments["type_list"] = [subject.types[each] for each in arguments["type_list"]]
    if name in own.IN_PLACE_OF:
        query = with_batch(arguments["unexpected_rows_query"], _BATCH)
        # Named twice in the query and materialized, the rows would be written to disk.
        rows = f"WITH {_BATCH} AS NOT MATERIALIZED ({subject.source}\n)"
        arguments["unexpected_rows_query"] = f"{rows} SELECT * FROM ({query}\n) AS unexpected_rows"
        name = own.IN_PLACE_OF[name].expectation_type
    if name == own.ExpectDistributionToBeUnchanged.expectation_type:
        arguments["batch"] = subject.source
    return ExpectationConfiguration(type=name, kwargs=arguments)


def _validated(
    engine: Engine, source: str, columns: Mapping[str, str], asked: Sequence[ExpectationConfiguration]
) -> list[ExpectationValidationResult]:
    """A result for each of `asked`, in their order."""
    execution = _ExecutionEngine(engine, columns)
    # `:name` would be a parameter to SQLAlchemy, and a comment at the end would go on over what follows.
    rows = text(source.replace(":", "\\:") + "\n").columns()
    batch = SqlAlchemyBatchData(execution, selectable=cast(Any, rows), create_temp_table=False)
    execution.load_batch_data("suite", batch)
    validator = Validator(execution_engine=execution)
    validator.metrics_calculator.show_progress_bars = False
    # An exception caught by Great Expectations is retried twice and becomes a failed expectation.
    settings = {"result_format": dict(_RESULT_FORMAT), "catch_exceptions": False}
    return validator.graph_validate(configurations=list(asked), runtime_configuration=settings)


class _ExecutionEngine(SqlAlchemyExecutionEngine):
    """Knows the columns; asked to find them out, it would fetch the rows of the query."""

    def __init__(self, engine: Engine, columns: Mapping[str, str]) -> None:
        super().__init__(engine=engine, create_temp_table=False)
        self._columns = columns

    def get_inspector(self) -> Inspector:
        return cast(Inspector, _Columns(self.engine.dialect, self._columns))


class _Columns:
    """As much of SQLAlchemy's inspector as Great Expectations asks."""

    def __init__(self, dialect: Dialect, columns: Mapping[str, str]) -> None:
        self.dialect = dialect
        self._columns = columns

    def get_columns(self, **_: str | None) -> list[dict[str, str]]:
        return [{"name": name, "type": type_} for name, type_ in self._columns.items()]

    def get_pk_constraint(self, **_: str | None) -> dict[str, list[str]]:
        return {"constrained_columns": []}


@contextmanager
def _engine(url: str, options: str) -> Generator[Engine]:
    """A pool of one connection, closed at the end. It does not know the address, so no message has it."""
    given = conninfo.conninfo_to_dict(url)
    address = conninfo.make_conninfo(
        url,
        application_name=_APPLICATION,
        connect_timeout=given.get("connect_timeout", _CONNECT_SECONDS),
        options=f"{given.get('options', '')} {options}".strip(),
    )
    engine = create_engine(
        # psycopg 3 would send parameters with a type, which enum and uuid columns refuse.
        "postgresql+psycopg2://",
        creator=lambda: psycopg2.connect(address),
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
    )
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _quiet() -> Generator[None]:
    """Great Expectations logs statements, and errors with the values in them."""
    logger = logging.getLogger("great_expectations")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _refusal(
    error: Exception,
    suite: Suite,
    subject: Subject,
    asked: Sequence[ExpectationConfiguration],
    engine: Engine,
) -> GateError:
    """Which expectations cannot be asked, and why; or what happened, where it is none of theirs."""
    cause = _cause(error)
    whole = _unasked(suite, cause)
    if isinstance(whole, GateUnanswered) or isinstance(cause, psycopg2.errors.QueryCanceled):
        return whole
    # Each alone, so that it is told by name: without rows, so that its error may be told as it is; then with a few,
    # for what Great Expectations makes of their values.
    for rows in (0, _A_FEW):
        some = f"SELECT * FROM ({subject.source}\n) AS suite LIMIT {rows}"
        problems: list[Problem] = []
        for expected, configuration in zip(suite.expectations, asked, strict=True):
            try:
                _validated(engine, some, subject.columns, [configuration])
            except Exception as alone:  # as above
                own_query = expected.name in own.IN_PLACE_OF
                words = _words(_cause(alone), rows_were_read=own_query or rows > 0)
                what = f"suite {suite.name}: {expected.name} cannot be asked: {words}"
                fix = None if own_query else "correct it, or cast the column in the suite's `query`"
                problems.append(Problem(what, expected.where, fix=fix))
        if problems:
            return GateError.of(problems)
    return whole


def _unasked(suite: Suite, cause: BaseException) -> GateError:
    what = f"suite {suite.name}: {_words(cause)}"
    return unasked(what, cause.pgcode) if isinstance(cause, psycopg2.Error) else GateError(what)


def _cause(error: BaseException) -> BaseException:
    """The database's error where there is one, else what happened first."""
    while not isinstance(error, psycopg2.Error) and (before := error.__cause__ or error.__context__):
        error = before
    return error


def _words(cause: BaseException, *, rows_were_read: bool = True) -> str:
    if isinstance(cause, psycopg2.Error):
        if cause.pgcode is None:
            return "the database cannot be reached, or the connection to it was lost"
        words = told_of(cause.pgcode, cause.diag.message_primary, rows_were_read=rows_were_read)
        return f"{words} (SQLSTATE {cause.pgcode})"
    lines = str(cause).strip().splitlines()
    # The text of such an error may quote a value.
    told = f": {lines[0]}" if lines and not rows_were_read else ""
    return f"Great Expectations gave up with {type(cause).__name__}{told}"
