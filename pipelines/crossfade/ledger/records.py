"""Rows of the ledger as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

MigrationState = Literal["running", "complete", "undoing", "undone"]
GateState = Literal["holds", "waits", "never"]


@dataclass(frozen=True)
class MigrationRecord:
    id: str
    title: str
    owner: str | None
    spec_text: str
    spec_digest: str
    plan: dict[str, Any]
    plan_digest: str
    state: MigrationState
    epoch: int
    holder: str | None
    lease_until: datetime | None
    paused_at: datetime | None
    paused_by: str | None
    undo_to: str | None
    problem: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class LegRecord:
    leg: str
    started_at: datetime
    finished_at: datetime | None
    passed_at: datetime | None


@dataclass(frozen=True)
class StepRecord:
    id: str
    leg: str
    state: Literal["running", "done", "undone"]
    attempts: int
    started_at: datetime
    finished_at: datetime | None
    rows: int
    detail: dict[str, Any]


@dataclass(frozen=True)
class ProgressRecord:
    """A walk in numbers: blocks done and in all, rows and batches so far."""

    step: str
    blocks_done: int
    blocks: int
    rows: int
    batches: int

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.blocks_done / self.blocks if self.blocks else 1.0


@dataclass(frozen=True)
class GateRecord:
    point: str
    gate: str
    state: GateState
    reason: str
    holds_at: datetime | None
    evidence: dict[str, Any]
    since: datetime
    checked_at: datetime


@dataclass(frozen=True)
class ApprovalRecord:
    """roles: the roles the approver was a member of when approving.

    point, gate: of an override, the gate that it opens. issuer, identity, groups: what a token said that was read;
    is_unread: it has one that was not. refused: why its token does not count.
    """

    team: str | None
    role: str
    roles: list[str]
    plan_digest: str
    reason: str | None
    approved_at: datetime
    point: str | None
    gate: str | None
    issuer: str | None
    identity: str | None
    groups: list[str]
    refused: str | None
    is_unread: bool

    @property
    def name(self) -> str:
        """What the approver is called by the database, or by the issuer."""
        return self.identity if self.identity is not None else self.role

    @property
    def approver(self) -> str:
        """Who approved, e.g. `ada`, or `ada@example.com (github)` by a token."""
        return f"{self.identity} ({self.issuer})" if self.issuer is not None else self.role


@dataclass(frozen=True)
class Starter:
    """Who started a migration: a role, and whom a token named of whoever let it, where there was one."""

    role: str
    issuer: str | None = None
    identity: str | None = None


@dataclass(frozen=True)
class PresentedToken:
    """A token by which somebody approves, as it came; approved_at: when, by the server's clock."""

    approval: int
    token: str = field(repr=False)
    approved_at: datetime


@dataclass(frozen=True)
class ConflictRecord:
    relation: str
    key: dict[str, Any] | None
    sqlstate: str
    seen_at: datetime


@dataclass(frozen=True)
class EventRecord:
    seq: int
    at: datetime
    migration: str
    kind: str
    role: str
    body: dict[str, Any]


@dataclass(frozen=True)
class UsageNode:
    """A server whose pg_stat_statements is sampled: `primary`, or where the URL of a replica is kept.

    covered_since: from when no statement escaped but those evicted between two samples.
    evictions: the server's own counter; evicted: how far it rose since covered_since.
    standbys: servers that stream from it. left_out: roles whose statements are crossfade's own.
    unread_at: when a sample could last not read the texts of others; shared_at: met other programs under such a role.
    evicted_at, unsampled_at: found evictions, or more standbys than replicas that are sampled.
    limits: what else its settings keep from being seen.
    """

    node: str
    covered_since: datetime
    sampled_at: datetime
    samples: int
    longest_gap: timedelta
    server_version: int
    reset_at: datetime | None
    evictions: int
    evicted: int
    standbys: int
    left_out: Sequence[str]
    unread_at: datetime | None
    shared_at: datetime | None
    evicted_at: datetime | None
    unsampled_at: datetime | None
    limits: Sequence[str]


@dataclass(frozen=True)
class UsageStatement:
    """A statement without literals, who runs it, and the sample that last found it called; None: none has.

    names: of a text that cannot be resolved, the catalog's names in it. seen: calls between samples, all together.
    """

    node: str
    role: str
    queryid: int
    text: str
    names: Sequence[str] | None
    calls: int
    exec_time: float
    called_at: datetime | None
    seen: int


@dataclass(frozen=True)
class OldWrites:
    """Writes of an old column by one writer. calls: at least so many; an INSERT counts for each of its rows."""

    role: str
    application: str
    calls: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class StructureRecord:
    """What is kept of the schema, but for the text of it.

    seen: what differed from it when it was last looked at; fingerprint: of the catalog then. server_version: of the
    server that printed it. kept_at: when it last changed.
    """

    digest: str
    seen: str
    fingerprint: str
    server_version: int
    kept_at: datetime
