"""What databases.yaml says of the rows of a database: where they must stay, how secret they are, what is personal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Protocol, get_args

from pydantic import Field

from crossfade.spec.values import ColumnName, Duration, SpecModel

# From what anybody may see to what few may.
Classification = Literal["public", "internal", "confidential", "restricted"]
_LEVELS: tuple[Classification, ...] = get_args(Classification)
_PRODUCTION = "production"

# What rows do that go to another database, and must not without a word.
Leaving = Literal["leave_region", "leave_production", "lose_classification"]


class Personal(SpecModel):
    """Columns that tell of people, and how long their old values may be kept."""

    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1)] = Field(
        description="Each as `table.column`, or with its schema before.", examples=[["users.email", "users.name"]]
    )
    keep_at_most: Duration | None = Field(
        default=None, description="The longest that a migration may keep their old values.", examples=["90d"]
    )

    def names(self, schema: str, table: str, column: str, *, home: str) -> bool:
        """The column is one of them. home: the schema of names without one."""
        qualified = f"{schema}.{table}.{column}"
        return any((name if name.count(".") == 2 else f"{home}.{name}") == qualified for name in self.columns)


class Custodian(Protocol):
    """What is said of a database, or nothing."""

    @property
    def name(self) -> str: ...
    @property
    def environment(self) -> str | None: ...
    @property
    def residency(self) -> str | None: ...
    @property
    def classification(self) -> Classification | None: ...


def leavings(here: Custodian, there: Custodian) -> Iterator[tuple[Leaving, str]]:
    """What is against rows going from one database to another, each with a clause. What is not said counts against."""
    if here.residency is not None and there.residency != here.residency:
        yield "leave_region", f"those must stay in {here.residency}, and {there.name} is {_in(there.residency)}"
    if here.environment == _PRODUCTION and there.environment != _PRODUCTION:
        yield "leave_production", f"those are of production, and {there.name} is {_for(there.environment)}"
    if here.classification is not None and _level(there.classification) < _level(here.classification):
        holds = there.classification or "what nothing is said of"
        yield "lose_classification", f"those are {here.classification}, and {there.name} is for {holds}"


def _level(classification: Classification | None) -> int:
    return _LEVELS.index(classification) if classification is not None else -1


def _in(region: str | None) -> str:
    return f"in {region}" if region is not None else "where nobody knows"


def _for(environment: str | None) -> str:
    return f"for {environment}" if environment is not None else "for what nobody says"
