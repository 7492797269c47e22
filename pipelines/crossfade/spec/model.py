"""The shape of a migration spec: all but the kinds of change and of gate, which are vocabularies apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BeforeValidator, Field, field_validator

from crossfade.errors import Position
from crossfade.spec.applications import Application
from crossfade.spec.approvals import OverrideRule
from crossfade.spec.calendar import Timezone
from crossfade.spec.values import Duration, MigrationId, Size, SpecModel
from crossfade.spec.window import Window

Phase = Literal["expand", "backfill", "validate", "contract"]
Stage = Literal["tighten", "cutover", "brownout", "retire", "archive", "drop"]
Moment = Literal["before", "after"]
PHASES: tuple[Phase, ...] = get_args(Phase)
STAGES: tuple[Stage, ...] = get_args(Stage)

# Where a plain list of gates stands. Expand and contract are entered with permission; backfill and validate
# are left with proof (docs/phases.md).
PLAIN_LIST: Mapping[Phase, Moment] = {
    "expand": "before",
    "backfill": "after",
    "validate": "after",
    "contract": "before",
}

RawGate = dict[str, Any]


def _gate_set(value: Any) -> Any:
    match value:
        case list():
            return {"plain": cast(list[Any], value)}
        case {"plain": _}:
            raise ValueError("gates are a plain list, or `before:` and `after:` lists")
        case _:
            return value


class GateSet(SpecModel):
    """The gates of one phase or stage: a plain list, or `before:` and `after:` lists."""

    plain: tuple[RawGate, ...] = ()  # the list without `before:` or `after:`; no key of its own
    before: tuple[RawGate, ...] = ()
    after: tuple[RawGate, ...] = ()


Gates = Annotated[GateSet, BeforeValidator(_gate_set, json_schema_input_type=list[RawGate] | GateSet)]


class PauseWhen(SpecModel):
    """The pressure at which a backfill waits until it has gone."""

    replica_lag: Duration | None = timedelta(seconds=10)
    blocked_sessions: Annotated[int, Field(ge=1)] | None = 5
    wal_rate: Size | None = Field(default=None, description="WAL per second, e.g. 64MB.")
    transaction_age: Duration | None = Field(
        default=timedelta(hours=1),
        description="Age of the oldest transaction: while it is open, no vacuum reuses the room of old row versions.",
    )


class Backfill(SpecModel):
    """How existing rows are walked."""

    target: Duration = Field(
        default=timedelta(milliseconds=500), description="A batch's wanted duration; its size adapts."
    )
    workers: Annotated[int, Field(ge=1, le=16)] = 2
    nice_ratio: Annotated[float, Field(ge=0, le=100)] = Field(
        default=0.0, description="For each second of writing, a worker rests so many seconds; 0: it does not."
    )
    pause_when: PauseWhen = PauseWhen()
    fire_triggers: bool | None = Field(
        default=None, description="true: user triggers fire for the rows we write; default: they do not."
    )
    max_conflicts: Annotated[int, Field(ge=0)] = Field(
        default=1000, description="The phase stops when more rows than this cannot be mapped."
    )


class Locks(SpecModel):
    """How long our DDL may make others wait, and for how long it is tried."""

    timeout: Duration = Field(
        default=timedelta(seconds=1), description="All locks of one attempt together: what a client may wait."
    )
    budget: Duration = Field(default=timedelta(minutes=10), description="After this much trying the step gives up.")
    end_idle_blockers: Duration | None = Field(
        default=None, description="End a session that holds such a lock idle in a transaction for longer than this."
    )


_TIME = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"
_LONGEST_BROWNOUT = timedelta(hours=1)


class StageOptions(SpecModel):
    """Options of a contract stage."""

    after: Duration = Field(default=timedelta(0), description="How long the stage before must have been done.")
    keep: Duration | None = Field(default=None, description="archive: how long the old values stay restorable.")
    at: Annotated[str, Field(json_schema_extra={"pattern": _TIME})] | None = Field(
        default=None, description="brownout: the time of day at which it begins.", examples=["10:00"]
    )
    for_: Duration | None = Field(default=None, alias="for", description="brownout: how long the columns stay hidden.")
    timezone: Timezone | None = Field(default=None, description="brownout: of `at`.", examples=["Europe/Oslo"])
    without_log: bool | None = Field(
        default=None, description="brownout: true: go on though the server's log could not be read."
    )
    gates: Gates = GateSet()

    @field_validator("at")
    @classmethod
    def _at_is_a_time(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(_TIME, value):
            raise ValueError("a time of day is written HH:MM, e.g. 10:00")
        return value

    @field_validator("for_")
    @classmethod
    def _is_soon_over(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and not timedelta(0) < value <= _LONGEST_BROWNOUT:
            raise ValueError("a brownout lasts an hour at most")
        return value


_KEPT = timedelta(days=30)  # where an archive stage does not say
_BROWNOUT = timedelta(minutes=5)  # where a brownout does not say


class Contract(SpecModel):
    """The staged contraction."""

    window: Window | None = None
    warn_after: Duration | None = Field(
        default=None,
        description="A stage that could have begun longer ago than this is told as waiting too long.",
        examples=["30d"],
    )
    count_writes: bool = Field(
        default=False,
        description="Triggers count who still writes the columns that `retire` hides: what the gate `unused` asks.",
    )
    stages: tuple[dict[str, StageOptions | None], ...] = Field(
        default=({"retire": None}, {"archive": None}, {"drop": None}),
        min_length=1,
        description="The stages in order. Contract ends with the last one named; of those before it, each in which"
        " something is to be done is run, named or not. The exceptions are `archive`: unnamed, old values are not kept;"
        " and `brownout`, which is left out.",
    )

    @property
    def keep(self) -> timedelta:
        """How long old values stay restorable where any are kept."""
        said = (options.keep for stages in self.stages for options in stages.values() if options is not None)
        return next((keep for keep in said if keep is not None), _KEPT)


class Head(SpecModel):
    """A migration spec, one YAML file: what is to be true afterwards, and what must hold before each step."""

    crossfade: Literal[1] = Field(description="The version of the language.")
    migration: MigrationId = Field(description="The id: unique, stable, [a-z0-9_].")
    title: Annotated[str, Field(min_length=1)]
    why: str | None = None
    owner: str | None = None
    database: str = Field(description="A name from databases.yaml; changes may name another one each.")
    after: tuple[MigrationId, ...] = Field(default=(), description="Migrations that must be complete first.")
    changes: tuple[dict[str, Any], ...] = Field(min_length=1)
    backfill: Backfill = Backfill()
    locks: Locks = Locks()
    enforce: Literal["validate", "contract"] = Field(
        default="validate",
        description="From when new rules bind old writers too; a change may say otherwise.",
    )
    publications: tuple[str, ...] = Field(
        default=(),
        description="Publications whose subscribers are ready for what this migration adds to published tables.",
    )
    applications: tuple[Application, ...] = Field(
        default=(), description="Services that use what it changes, and which of their versions use what."
    )
    gates: dict[Phase, Gates] = Field(default_factory=dict[Phase, GateSet])
    override: OverrideRule | None = Field(
        default=None, description="Who may override its gates; default: what crossfade.yaml says, else nobody."
    )
    contract: Contract = Contract()


@dataclass(frozen=True)
class Entry:
    """One change or gate as written: its kind, its checked body, and where it stands."""

    kind: str
    body: SpecModel
    where: Position


@dataclass(frozen=True)
class GatePoint:
    """Where gates stand: before or after a phase, or one stage of contract."""

    phase: Phase
    moment: Moment
    stage: Stage | None = None

    def __str__(self) -> str:
        return f"{self.moment} {self.stage or self.phase}"


@dataclass(frozen=True)
class StageSpec:
    """A stage of contract as the spec orders it."""

    stage: Stage
    options: StageOptions


@dataclass(frozen=True)
class Migration:
    """A checked migration spec with its place, its text and its digest.

    The digest is over the values, not the text: a comment may change under a running migration.
    """

    path: Path
    text: str
    digest: str
    head: Head
    changes: tuple[Entry, ...]
    gates: Mapping[GatePoint, tuple[Entry, ...]]
    stages: tuple[StageSpec, ...]
    where: Mapping[tuple[str | int, ...], Position]

    @property
    def id(self) -> str:
        return self.head.migration

    @property
    def last_stage(self) -> Stage:
        """The stage that contract ends with."""
        return self.stages[-1].stage

    @property
    def brownout(self) -> timedelta | None:
        """How long old columns are hidden for a trial; None: they are not."""
        said = (each.options.for_ or _BROWNOUT for each in self.stages if each.stage == "brownout")
        return next(said, None)

    def ends_before(self, stage: Stage) -> bool:
        """Contract ends before the stage is reached."""
        return STAGES.index(self.last_stage) < STAGES.index(stage)

    def position(self, *path: str | int) -> Position:
        """Where `path` (keys and list indexes) stands in the file, or its nearest parent."""
        while path and path not in self.where:
            path = path[:-1]
        return self.where.get(path, Position(self.path))


def digest(canonical: str) -> str:
    """sha256 of a canonical text, in hex."""
    return hashlib.sha256(canonical.encode()).hexdigest()
