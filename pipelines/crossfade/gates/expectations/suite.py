"""A suite: one file in validations/, checked with positions and without a database or Great Expectations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import AfterValidator, Field, model_validator

from crossfade.errors import Position, Problem
from crossfade.gates._query import Query
from crossfade.gates.expectations.arguments import Severity, arguments_of, known
from crossfade.gates.expectations.names import check_table
from crossfade.spec.document import Document, read_document
from crossfade.spec.errors import SpecError, nearest
from crossfade.spec.validation import validated
from crossfade.spec.values import Duration, MigrationId, SpecModel

FOLDER = "validations"
COMPARES = "expect_rows_to_match_another_database"
_PAGE = "docs/language.md#suites"

# These are about all rows: of a sample they would say something else.
_OF_ALL_ROWS = {
    COMPARES,
    "expect_column_distinct_values_to_contain_set",
    "expect_column_distinct_values_to_equal_set",
    "expect_column_max_to_be_between",
    "expect_column_min_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between",
    "expect_column_sum_to_be_between",
    "expect_column_unique_value_count_to_be_between",
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
    "expect_distribution_to_be_unchanged",
    "expect_no_duplicates_under",
    "expect_table_row_count_to_be_between",
    "expect_table_row_count_to_equal",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
}

# In these, the columns named are what is asked, not what is read.
_ASK_FOR_COLUMNS = {
    "expect_column_to_exist",
    "expect_table_columns_to_match_ordered_list",
    "expect_table_columns_to_match_set",
}


class SuiteFile(SpecModel):
    """What should hold of a table, or of what a query gives: one YAML file in validations/."""

    suite: MigrationId = Field(description="The name, as the file has it.", examples=["users_baseline"])
    title: str | None = None
    database: str | None = Field(
        None, description="A name from databases.yaml; default: the database of the migration that asks."
    )
    table: Annotated[str, AfterValidator(check_table)] | None = Field(
        None, description="The table to look at: users, or schema.users.", examples=["users"]
    )
    query: Query | None = Field(
        None,
        description="The rows to look at, where they are not a whole table.",
        examples=["SELECT * FROM users WHERE deleted_at IS NULL"],
    )
    sample: Annotated[int, Field(ge=1000)] | None = Field(
        None, description="About how many rows to look at, where the table has more than that.", examples=[1_000_000]
    )
    allow_empty: bool = Field(False, description="true: the suite also holds where there are no rows to look at.")
    statement_timeout: Duration = Field(
        timedelta(minutes=10), description="The longest that one of its queries may take."
    )
    expectations: tuple[dict[str, Any], ...] = Field(
        min_length=1, description="Each is one key, the expectation's name, with its keys below."
    )

    @model_validator(mode="after")
    def _reads_one_thing(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("a suite looks at a `table` or at a `query`, one of the two")
        if self.sample is not None and self.table is None:
            raise ValueError("only of a `table` a sample can be taken; a `query` says itself which rows it gives")
        return self


@dataclass(frozen=True)
class Expected:
    """One expectation of a suite; `arguments` are its keys without severity and description."""

    name: str
    arguments: Mapping[str, Any]
    severity: Severity
    where: Position

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is about."""
        named = [self.arguments[key] for key in ("column", "column_A", "column_B") if key in self.arguments]
        return (*named, *self.arguments.get("column_list", ()))

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that must exist for it to be asked at all."""
        return () if self.name in _ASK_FOR_COLUMNS else self.columns


@dataclass(frozen=True)
class Suite:
    """A checked suite. where: of the table or query that it looks at."""

    path: Path
    head: SuiteFile
    where: Position
    expectations: tuple[Expected, ...]

    @property
    def name(self) -> str:
        return self.head.suite


def suite_path(root: Path, name: str) -> Path:
    """Where the suite `name` of the project under `root` is kept."""
    return root / FOLDER / f"{name}.yaml"


def load_suite(path: Path) -> Suite:
    """Read one suite; raises SpecError with everything that is wrong in it."""
    document = read_document(path)
    problems: list[Problem] = []
    head = validated(SuiteFile, document, (), problems, page=_PAGE)
    expectations = tuple(_expectations(document, problems))
    if head is not None and head.suite != path.stem:
        problems.append(
            Problem(
                f"the suite is called `{head.suite}`, its file {path.name}",
                document.position(("suite",)),
                "a gate names a suite, and finds it by the file's name",
                f"write `suite: {path.stem}`, or rename the file",
            )
        )
    if head is None or problems:
        raise SpecError.sorted(problems)
    if head.sample is not None and (misled := [each for each in expectations if each.name in _OF_ALL_ROWS]):
        raise SpecError.of(_not_of_a_sample(each) for each in misled)
    where = document.position(("query" if head.query else "table",))
    return Suite(path, head, where, expectations)


def _expectations(document: Document, problems: list[Problem]) -> Iterator[Expected]:
    """The expectations that are right; what is wrong with the others goes to `problems`.

    Works on the bare data: a list or an entry of the wrong shape has been told with the head.
    """
    data: Any = document.data.get("expectations") if isinstance(document.data, dict) else None
    for index, entry in enumerate(cast(list[Any], data) if isinstance(data, list) else ()):
        if not isinstance(entry, dict):
            continue
        names = [*cast(dict[str, Any], entry)]
        place = ("expectations", index, *names[:1])
        if len(names) != 1:
            problems.append(
                Problem(
                    f"an expectation is one key, its name; found {len(names)}",
                    document.key(place),
                    f"see {_PAGE}",
                    "begin each expectation with `- `, and put its keys in braces or below it",
                )
            )
        elif names[0] not in known():
            problems.append(_unknown(names[0], document.key(place)))
        elif body := validated(arguments_of(names[0]), document, place, problems, page=_PAGE):
            arguments = body.model_dump(mode="json", exclude_unset=True, exclude={"description"})
            severity = arguments.pop("severity", "critical")
            if _is_bounded(names[0]) and not arguments.keys() & {"min_value", "max_value"}:
                problems.append(_unbounded(names[0], document.key(place)))
            if names[0] == COMPARES and len(arguments.keys() & {"table", "query"}) != 1:
                problems.append(_without_rows(document.key(place)))
            yield Expected(names[0], arguments, severity, document.key(place))


def _is_bounded(name: str) -> bool:
    """By these two keys alone: others that end so have bounds of another kind."""
    return name.endswith("_between") and "min_value" in known()[name]["keys"]


def _not_of_a_sample(expected: Expected) -> Problem:
    return Problem(
        f"`{expected.name}` cannot be asked of a sample",
        expected.where,
        "it is about all rows of the table together, and the sample has only some of them",
        "move it to a suite without `sample`",
    )


def _unknown(name: str, where: Position) -> Problem:
    guess = nearest(name, known())
    return Problem(
        f"unknown expectation `{name}`",
        where,
        f"they are those of Great Expectations that ask PostgreSQL: {_PAGE}",
        f"did you mean `{guess}`?" if guess else "see the names there",
    )


def _without_rows(where: Position) -> Problem:
    return Problem(
        f"`{COMPARES}` looks at a `table` or at a `query` there, one of the two",
        where,
        "it compares the suite's rows with those",
        "give the one that has the rows",
    )


def _unbounded(name: str, where: Position) -> Problem:
    return Problem(
        f"`{name}` has neither `min_value` nor `max_value`",
        where,
        "it would be true of anything",
        "give one of them, or both",
    )
