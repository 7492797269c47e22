"""What a suite found, in counts and never a row's value: evidence for the ledger, one sentence for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from crossfade.gates.expectations.suite import Expected, Suite

_TOLD = 3  # failures in a sentence; the evidence has them all
_LONGEST_QUERY = 100

# These observe how many there are, what share, or a type's name. What others observe, such as a maximum, is a
# row's value.
_OBSERVES_NO_VALUE = {
    "expect_rows_to_match_another_database",
    "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between",
    "expect_column_type_to_be",
    "expect_column_unique_value_count_to_be_between",
    "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_of_type",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_table_row_count_to_be_between",
    "expect_table_row_count_to_equal",
}


@dataclass(frozen=True)
class Outcome:
    """What one expectation found.

    elements, unexpected: rows looked at and rows it is not true of; None where it does not count rows.
    observed: another count, a share or a type's name, where the expectation has one.
    """

    expected: Expected
    success: bool
    elements: int | None = None
    unexpected: int | None = None
    observed: int | float | str | None = None

    @classmethod
    def of(cls, expected: Expected, success: bool, result: dict[str, Any]) -> Outcome:
        """From what Great Expectations gives, which holds values of rows as well."""
        observed = result.get("observed_value") if expected.name in _OBSERVES_NO_VALUE else None
        return cls(
            expected,
            success,
            result.get("element_count"),
            result.get("unexpected_count"),
            observed if isinstance(observed, (int, float, str)) else None,
        )

    @property
    def evidence(self) -> dict[str, Any]:
        found = {
            "element_count": self.elements,
            "unexpected_count": self.unexpected,
            "observed_value": self.observed,
        }
        return {
            "expectation": self.expected.name,
            "columns": list(self.expected.columns),
            "severity": self.expected.severity,
            "success": self.success,
            **{key: value for key, value in found.items() if value is not None},
        }

    @property
    def failure(self) -> str:
        """A clause that says what is wrong, e.g. `12 of 500 rows of email fail expect_...`."""
        name, arguments = self.expected.name, self.expected.arguments
        columns = ", ".join(self.expected.columns)
        mostly = f" (mostly: {arguments['mostly']})" if "mostly" in arguments else ""
        rows = f"{self.unexpected or 0:,} of {self.elements or 0:,} rows"
        match name:
            case "expect_foreign_key_to_hold":
                parent = f"{arguments['parent_table']}.{arguments['parent_column']}"
                return f"{rows} have a {columns} that {parent} does not have{mostly}"
            case "expect_columns_to_agree":
                return f"{rows} have another {columns} than {arguments['to']}{mostly}"
            case "expect_backfill_to_be_complete":
                return f"{rows} have no {columns} where {arguments['up']} has a value{mostly}"
            case "expect_no_duplicates_under":
                return f"{rows} repeat another one's {arguments['expression']}{mostly}"
            case "expect_distribution_to_be_unchanged":
                return f"{rows} have a {columns} that is not as frequent under {arguments['to']}{mostly}"
            case "expect_rows_to_match_another_database":
                return f"the rows are not those of {arguments['database']}: {self.observed}"
            case "unexpected_rows_expectation":
                query = shorten(arguments["unexpected_rows_query"], _LONGEST_QUERY, placeholder=" ...")
                return f"{self.unexpected or 0:,} rows are found by {query}"
            case _ if self.unexpected is not None and self.elements is not None:
                return f"{rows} fail {name} of {columns}{mostly}"
            case _:
                of_columns = f" of {columns}" if columns else ""
                found = "" if self.observed is None else f", found {_number(self.observed)}"
                return f"{name}{of_columns} {_wanted(arguments)}{found}"


@dataclass(frozen=True)
class Report:
    """What a run of a suite found. rows: how many rows it looked at. sampled: of about how many, where not at all."""

    suite: Suite
    rows: int
    outcomes: Sequence[Outcome]
    sampled: int | None = None

    @property
    def holds(self) -> bool:
        return not self._broken and not self._empty

    @property
    def reason(self) -> str:
        """One sentence: what does not hold, with counts; then what is only a warning; without the suite's name."""
        if self._empty:
            return "looked at 0 rows; where that is right, say `allow_empty: true`"
        broken, warnings, all_of_them = self._broken, self._warnings, len(self.outcomes)
        if broken:
            verb = "fails" if len(broken) == 1 else "fail"
            found = f"{len(broken)} of {all_of_them} expectations {verb}: {_listed(broken)}"
            if self.sampled is not None:
                found += f"; looked at {self._looked_at}"
        elif warnings:
            found = f"{all_of_them - len(warnings)} of {all_of_them} expectations hold on {self._looked_at}"
        else:
            found = f"all {all_of_them} expectations hold on {self._looked_at}"
        warned = f"; warning: {_listed(warnings)}" if warnings else ""
        return f"{found}{warned}"

    @property
    def evidence(self) -> dict[str, Any]:
        """JSON for the ledger."""
        return {
            "suite": self.suite.name,
            "rows": self.rows,
            **({"sample_of_rows": self.sampled} if self.sampled is not None else {}),
            "expectations": [outcome.evidence for outcome in self.outcomes],
        }

    @property
    def _looked_at(self) -> str:
        of = f", a sample of about {self.sampled:,}" if self.sampled is not None else ""
        return f"{self.rows:,} rows{of}"

    @property
    def _empty(self) -> bool:
        return self.rows == 0 and not self.suite.head.allow_empty

    @property
    def _broken(self) -> list[Outcome]:
        return [each for each in self.outcomes if not each.success and each.expected.severity == "critical"]

    @property
    def _warnings(self) -> list[Outcome]:
        return [each for each in self.outcomes if not each.success and each.expected.severity != "critical"]


def _listed(outcomes: Sequence[Outcome]) -> str:
    told = "; ".join(outcome.failure for outcome in outcomes[:_TOLD])
    more = len(outcomes) - _TOLD
    return f"{told}; and {more} more" if more > 0 else told


def _wanted(arguments: Mapping[str, Any]) -> str:
    """The verb of a failure: what the suite's file asks for, where that is a number, a range or a type."""
    least, most = arguments.get("min_value"), arguments.get("max_value")
    above, below = arguments.get("strict_min"), arguments.get("strict_max")
    match arguments:
        case {"value": int() | float() as wanted} | {"type_": str() as wanted}:
            return f"wants {_number(wanted)}"
        case {"type_list": [*types]}:
            return f"wants {' or '.join(map(str, types))}"
        case _:
            bounds = [
                *([f"{'more than' if above else 'at least'} {_number(least)}"] if least is not None else []),
                *([f"{'less than' if below else 'at most'} {_number(most)}"] if most is not None else []),
            ]
            return f"wants {' and '.join(bounds)}" if bounds else "fails"


def _number(observed: int | float | str) -> str:
    match observed:
        case int():
            return f"{observed:,}"
        case float():
            return f"{observed:.4g}"
        case str():
            return observed
