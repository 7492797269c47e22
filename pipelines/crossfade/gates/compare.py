"""compare: two tables hold the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from crossfade.compare import CompareFailed, Incomparable, Place, Question, Side, compare, read_place
from crossfade.compare.question import STATEMENT_TIMEOUT
from crossfade.compare.shape import paired_columns
from crossfade.composing import sql
from crossfade.gates._failure import unasked
from crossfade.gates._gate import Answer, Foresight, Gate, GateContext, GateError
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Duration, Identifier


class CompareGate(Gate):
    """Hold when two tables, in one database or in two, have the same rows."""

    costly: ClassVar[bool] = True
    lasting: ClassVar[bool] = True

    compare: tuple[Place, Place] = Field(
        description="The two tables, each with its database before it.", examples=[["profile.users", "billing.users"]]
    )
    key: tuple[Identifier, ...] = Field((), description="Columns that tell rows apart; default: a key of the tables.")
    columns: tuple[Identifier, ...] = Field((), description="The columns compared; default: all.")
    skip: tuple[Identifier, ...] = Field((), description="Columns to leave out.")
    map_a: dict[Identifier, Expression] = Field(
        default_factory=dict[Identifier, Expression],
        description="SQL over the first table's row that stands for a column there.",
    )
    map_b: dict[Identifier, Expression] = Field(
        default_factory=dict[Identifier, Expression], description="The same of the second table."
    )
    where_a: Expression | None = Field(None, description="Which rows of the first table; default: all.")
    where_b: Expression | None = Field(None, description="Which rows of the second table; default: all.")
    settle: Duration = Field(timedelta(), description="How long a row that differs may take to agree.")
    blocks: int | None = Field(
        None, ge=1, description="Read so many blocks a statement, and rest as long as each took; default: all at once."
    )
    statement_timeout: Duration = Field(STATEMENT_TIMEOUT, description="For any one statement.")

    @property
    def label(self) -> str:
        return f"compare {self.compare[0]} {self.compare[1]}"

    @property
    def question(self) -> Question:
        return Question(
            a=_side(self.compare[0], self.map_a, self.where_a),
            b=_side(self.compare[1], self.map_b, self.where_b),
            columns=self.columns,
            skip=self.skip,
            key=self.key,
            settle=self.settle,
            blocks=self.blocks,
            statement_timeout=self.statement_timeout,
        )

    def ask(self, context: GateContext) -> Answer:
        try:
            found = compare(self.question, context.open)
        except Incomparable as error:
            raise GateError.of(error.problems) from None
        except CompareFailed as error:
            raise unasked(f"{self.label}: {error.what}", error.sqlstate) from None
        # A key is a value of a row, and evidence goes to the ledger.
        return Answer("holds" if found.equal else "waits", found.verdict, evidence=found.told(keys=False))

    def foresee(self, foresight: Foresight) -> None:
        question = self.question
        sides = [foresight.columns(_all(side), side.database) for side in (question.a, question.b)]
        a, b = ([column.name for column in side] if side is not None else None for side in sides)
        if a is not None and b is not None:
            try:
                paired_columns(question, a, b)
            except Incomparable as error:
                raise GateError.of(error.problems) from None


def _side(place: str, values: Mapping[str, Expression], where: Expression | None) -> Side:
    return Side(*read_place(place), values, where)


def _all(side: Side) -> str:
    return sql.SQL("SELECT * FROM {}").format(sql.Identifier(*side.relation.split("."))).as_string(None)
