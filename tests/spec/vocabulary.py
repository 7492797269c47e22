"""A small vocabulary of our own, so that the language is tested without any real kind."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crossfade.spec import Duration, Expression, Identifier, SpecModel, Vocabulary


class Target(SpecModel):
    """What a column becomes."""

    type: str | None = None
    nullable: bool | None = None
    unique: bool = False
    limit: int | Literal["none"] = "none"


class ChangeColumn(SpecModel):
    """Change what a column holds."""

    table: Identifier
    column: Identifier
    to: Target | Literal["nothing"]
    up: Expression | None = None
    down: Expression | None = None
    strategy: Literal["swap", "versions"] = "swap"
    enforce: Literal["validate", "contract"] | None = None
    database: str | None = None


class Other(SpecModel):
    """A table in another schema."""

    schema_: Identifier = Field(alias="schema")
    table: Identifier


class DropTable(SpecModel):
    """Drop a table."""

    table: Identifier
    also: tuple[Identifier | Other, ...] = ()


class SuiteGate(SpecModel):
    """A suite of expectations holds."""

    suite: str


class SoakGate(SpecModel):
    """Some time has passed."""

    soak: Duration


class UnusedGate(SpecModel):
    """Nothing has touched a column for a while."""

    unused: str
    for_: Duration = Field(alias="for")
    suite: str | None = None


class Approvers(SpecModel):
    """Who approves, and how many of them."""

    from_: str = Field(alias="from")
    count: int = 1


class ApprovalGate(SpecModel):
    """People have approved."""

    approval: Approvers


class FlagGate(SpecModel):
    """A feature flag is on."""

    flag: str


class Deployment(SpecModel):
    """A service and its version."""

    service: str
    at_least: str


class DeployedGate(SpecModel):
    """A version of a service is live."""

    deployed: Deployment


CHANGES = Vocabulary({"change_column": lambda: ChangeColumn, "drop_table": lambda: DropTable})
GATES = Vocabulary(
    {
        "suite": lambda: SuiteGate,
        "soak": lambda: SoakGate,
        "unused": lambda: UnusedGate,
        "approval": lambda: ApprovalGate,
        "flag": lambda: FlagGate,
        "deployed": lambda: DeployedGate,
    }
)
