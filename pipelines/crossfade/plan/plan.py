"""A plan: everything a migration will do, as data. It is printed, reviewed, approved by digest, frozen, and run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

from crossfade.spec.model import digest
from crossfade.steps.step import AnyStep, Data, Leg, Relation

Risk = Literal["note", "warning", "danger"]


class PlannedGate(Data):
    """A gate as the spec says it: its kind and its checked body."""

    kind: str
    body: dict[str, Any]


class GateSetAt(Data):
    """The gates of one point, e.g. `before contract` or `after backfill`."""

    point: str
    gates: tuple[PlannedGate, ...]


class PlannedHazard(Data):
    """Something a reviewer must know; `change` says which change brings it."""

    code: str
    risk: Risk
    change: str
    what: str
    fix: str | None = None


class Lineage(Data):
    """A column, what it is made from, and how.

    of: the table of the sources, where they are of another one. of_database: theirs, where it is another one.
    """

    database: str
    table: str
    column: str
    sources: tuple[str, ...]
    expression: str
    of: str | None = None
    of_database: str | None = None


class VersionViews(Data):
    """Tables of one schema that each version sees by views: the schemas these are in."""

    database: str
    schema_name: str
    new: str
    old: str
    tables: tuple[Relation, ...]

    @property
    def new_path(self) -> str:
        """As it stands in search_path."""
        return f"{_quoted(self.new)}, {_quoted(self.schema_name)}"

    @property
    def old_path(self) -> str:
        return f"{_quoted(self.old)}, {_quoted(self.schema_name)}"


class Columns(Data):
    """Columns of one table, by the names that they have before the migration.

    as_key: it is about the key that they are in.
    """

    database: str
    relation: Relation
    names: tuple[str, ...]
    as_key: bool = False


class PlannedApplication(Data):
    """A service, and which of its versions use what.

    opens: the leg that brings the new shape it sees; None: the new shape is there when the old one goes.
    tightens, breaks: the legs after which versions fail that still write the old shape, or that still need it.
    """

    service: str
    databases: tuple[str, ...]
    writes_new: str | None
    reads_new: str | None
    without_old: str | None
    opens: str | None
    tightens: str | None
    breaks: str | None


class Size(Data):
    """A table a plan touches, as it was when planned. rows: -1 when it was never analysed."""

    database: str
    relation: Relation
    rows: int
    bytes: int


class Settings(Data):
    """How the steps are to be run. Times in seconds."""

    lock_timeout: float
    lock_budget: float
    batch_target: float
    workers: int
    max_conflicts: int
    pause_replica_lag: float | None
    pause_blocked_sessions: int | None
    pause_wal_rate: int | None
    pause_transaction_age: float | None = None
    end_idle_blockers: float | None = None
    nice_ratio: float = 0.0  # seconds of rest for each second of writing


class Plan(Data):
    """A migration compiled against its databases.

    databases: the migration's own first (its ledger keeps gates and approvals), then those its changes name.
    steps: in the order they run: by leg, then as the changes stand, then by database.
    takes: columns that go, or that others take the place of. needs: columns that what it makes or alters goes with.
    override: who may override its gates, as the spec says it; None where it says nothing.
    """

    format: Literal[1] = 1
    migration: str
    title: str
    why: str | None
    owner: str | None
    after: tuple[str, ...]
    spec_digest: str
    databases: tuple[str, ...]
    schemas: dict[str, str]
    legs: tuple[Leg, ...]
    steps: tuple[AnyStep, ...]
    gates: tuple[GateSetAt, ...]
    hazards: tuple[PlannedHazard, ...]
    lineage: tuple[Lineage, ...]
    sizes: tuple[Size, ...]
    settings: Settings
    versions: tuple[VersionViews, ...] = ()
    takes: tuple[Columns, ...] = ()
    needs: tuple[Columns, ...] = ()
    override: dict[str, Any] | None = None
    applications: tuple[PlannedApplication, ...] = ()

    @property
    def home(self) -> str:
        """The database whose ledger keeps the migration's gates, approvals and pauses."""
        return self.databases[0]

    @property
    def digest(self) -> str:
        """Over all that is done and all that guards it.

        Sizes, which drift, are left out, and so is what tells of the rest: hazards, which columns it is about, and the
        services, for which gates stand.
        """
        data = self.model_dump(mode="json", exclude={"sizes", "hazards", "takes", "needs", "applications"})
        return digest(json.dumps(data, sort_keys=True, ensure_ascii=False))

    def steps_of(self, leg: Leg, database: str | None = None) -> Iterator[AnyStep]:
        for step in self.steps:
            if step.leg == leg and database in (None, step.database):
                yield step

    def gates_at(self, point: str) -> tuple[PlannedGate, ...]:
        return tuple(gate for at in self.gates if at.point == point for gate in at.gates)

    def leg(self, name: str) -> Leg | None:
        """The leg by its name: a phase, or a stage of contract."""
        return next((leg for leg in self.legs if str(leg) == name), None)

    def before(self, leg: Leg) -> Leg | None:
        """The leg that must have passed before this one starts."""
        index = self.legs.index(leg)
        return self.legs[index - 1] if index else None

    def size(self, database: str, relation: Relation) -> Size | None:
        return next((s for s in self.sizes if s.database == database and s.relation == relation), None)


def _quoted(name: str) -> str:
    """As an identifier needs it."""
    plain = re.fullmatch("[a-z_][a-z0-9_]*", name)
    return name if plain else '"' + name.replace('"', '""') + '"'
