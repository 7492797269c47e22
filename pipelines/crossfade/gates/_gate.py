"""What a gate is: a question with an answer and its evidence, asked by the engine before it acts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from crossfade.errors import CrossfadeError, Position
from crossfade.spec.settings import Settings
from crossfade.spec.values import SpecModel

if TYPE_CHECKING:
    import psycopg

    from crossfade.ledger import Ledger

State = Literal["holds", "waits", "never"]


@dataclass(frozen=True)
class Answer:
    """What a gate says now.

    reason: one sentence for people, with counts and never with row values.
    holds_at: when it may hold, where that is known.
    evidence: what was seen, JSON; goes to the ledger.
    """

    state: State
    reason: str
    holds_at: datetime | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])


class GateError(CrossfadeError):
    """The question cannot be asked as it is (a column or a file that is not there): no answer."""


class GateUnanswered(GateError):
    """The database could not answer just now: no answer yet, so it is asked again."""


class ReadOnly(Protocol):
    """Opens a read-only session with timeouts on one of the migration's databases."""

    def __call__(self, database: str) -> AbstractContextManager[psycopg.Connection[Any]]: ...


@dataclass(frozen=True)
class GateContext:
    """Where and when a gate is asked.

    database: the migration's first database, used where the gate names none.
    databases: all that the migration changes, that one first.
    root: the project's root; suites are in `validations/` below it.
    settings: what the project's crossfade.yaml says.
    ledger: of the migration's first database.
    since: when the leg before passed; None when there is none.
    seconds: that the question may take, where somebody waits who must answer soon; None: as long as its kind allows.
    now: by the ledger's clock, which its own moments are by.
    """

    migration: str
    plan_digest: str
    point: str
    database: str
    databases: tuple[str, ...]
    schema: str
    root: Path
    settings: Settings
    ledger: Ledger
    open: ReadOnly
    homes: Mapping[str, str]  # migration of the project -> the database whose ledger knows it
    url: Mapping[str, str]  # database -> connection URL, for libraries that connect themselves
    since: datetime | None
    now: datetime
    seconds: float | None = None


class Foresight(Protocol):
    """What a gate may ask when its migration is planned.

    database, schema: of the migration. root, settings: the project's.
    """

    @property
    def database(self) -> str: ...

    @property
    def schema(self) -> str: ...

    @property
    def root(self) -> Path: ...

    @property
    def settings(self) -> Settings: ...

    def columns(self, query: str, database: str, where: Position | None = None) -> Sequence[psycopg.Column] | None:
        """The columns that the query will give at the gate's point; None when that cannot be known.

        where: the query's place; default: the gate's. Raises GateError when it could not be asked.
        """
        ...


class Gate(SpecModel):
    """One gate of the vocabulary. The field named like the kind holds its main value.

    costly: asking reads many rows, so it is asked only when the cheap gates beside it hold.
    lasting: asking always takes long, so that only a run asks it, and none who must answer soon.
    """

    costly: ClassVar[bool] = False
    lasting: ClassVar[bool] = False

    @property
    @abstractmethod
    def label(self) -> str:
        """A short name that tells it from its neighbours, e.g. `suite users_baseline`."""

    @abstractmethod
    def ask(self, context: GateContext) -> Answer:
        """The answer now; raises GateError when it cannot be had."""

    def foresee(self, foresight: Foresight) -> None:
        """When planning: raises GateError, or SpecError of its file, when it could not be asked at its point."""
