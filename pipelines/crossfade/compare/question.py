"""What is to be compared: two places, the columns, the key, which rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from crossfade.spec.fragment import Expression
from crossfade.spec.values import LONGEST_NAME

MOST = 100  # keys
STATEMENT_TIMEOUT = timedelta(minutes=10)


def check_place(text: str) -> str:
    """The text as it is; raises ValueError when it is not a database and a table."""
    database, *relation = text.split(".")
    if not (database and 1 <= len(relation) <= 2 and all(0 < len(part.encode()) <= LONGEST_NAME for part in relation)):
        raise ValueError("a database and a table are wanted: profile.users, or profile.schema.users")
    return text


Place = Annotated[
    str,
    AfterValidator(check_place),
    Field(description="A database of databases.yaml and a table.", examples=["profile.users"]),
]


def read_place(text: str) -> tuple[str, str]:
    """`profile.app.users` as the database `profile` and the table `app.users`; raises ValueError."""
    database, _, relation = check_place(text).partition(".")
    return database, relation


@dataclass(frozen=True)
class Side:
    """A table, view or foreign table in a database.

    relation: with its schema, or where the database's search path has it. values: column -> what stands for it, an
    expression over the row. where: which rows; None: all.
    """

    database: str
    relation: str
    values: Mapping[str, Expression] = field(default_factory=dict[str, Expression])
    where: Expression | None = None

    def __str__(self) -> str:
        return f"{self.database}.{self.relation}"


@dataclass(frozen=True)
class Question:
    """What to compare, and how hard to look.

    columns: those to compare; (): all. skip: those to leave out. key: columns that tell rows apart; (): a key of either
    table. most: differing keys that are looked for; 0: only whether there are any. settle: how long a row that differs
    may take to agree. blocks: of the table that one statement of the first pass may read, with a rest after each; None:
    all of them. statement_timeout: of any one statement.
    """

    a: Side
    b: Side
    columns: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    most: int = MOST
    settle: timedelta = timedelta()
    blocks: int | None = None
    statement_timeout: timedelta = STATEMENT_TIMEOUT
