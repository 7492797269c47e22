"""Answers of gates as a check shows them: a sentence for each, and a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dagster import AssetCheckSeverity, MetadataValue, TableColumn, TableMetadataValue, TableRecord, TableSchema

from crossfade.gates import Answer, State
from crossfade.ledger import GateRecord
from crossfade.plan import Plan, gate_of

# Time and people make other gates hold; a suite that does not hold has found something that must be mended.
_PROOFS = frozenset({"suite"})
# Reasons tell the command that a person gives; this is what does the same for whoever reads them in Dagster.
_JOBS = {"approval": "The job `approve_migration` approves from here."}
_COLUMNS = TableSchema(
    [
        TableColumn("gate", "string"),
        TableColumn("state", "string", description="holds, waits or never"),
        TableColumn("reason", "string"),
        TableColumn("may hold at", "string"),
        TableColumn("asked at", "string"),
    ]
)


@dataclass(frozen=True)
class GateLine:
    """One gate and its answer. kind: None of a gate that no plan has. state None: it was not asked."""

    gate: str
    kind: str | None
    state: State | None = None
    reason: str = ""
    holds_at: datetime | None = None
    asked_at: datetime | None = None

    @property
    def proof(self) -> bool:
        """When it does not hold, something is wrong."""
        return self.kind in _PROOFS

    @property
    def sentence(self) -> str:
        if self.state is None:
            return f"{self.gate} was not asked: {self.reason}."
        when = f"; may hold at {_moment(self.holds_at)}" if self.holds_at is not None else ""
        job = f" {_JOBS[self.kind]}" if self.kind in _JOBS and self.state != "holds" else ""
        return f"{self.gate} {_VERBS[self.state]}: {self.reason}{when}.{job}"


_VERBS: Mapping[State, str] = {"holds": "holds", "waits": "does not hold yet", "never": "will never hold"}


@dataclass(frozen=True)
class GateReport:
    """What the gates of one point say.

    nothing: why there is no line, where that is so. early: it is not known yet which gates there are.
    """

    lines: tuple[GateLine, ...] = ()
    nothing: str | None = None
    early: bool = False

    @property
    def holds(self) -> bool:
        return not self.early and all(line.state == "holds" for line in self.lines)

    @property
    def has_asked_suites(self) -> bool:
        """One of the lines is what a suite found, now or when it was last asked."""
        return any(line.proof and line.state is not None for line in self.lines)

    @property
    def severity(self) -> AssetCheckSeverity:
        """ERROR stops the rest of a run and is red; what time and people make hold only warns, and the run is green."""
        wrong = any(line.state == "never" or (line.state == "waits" and line.proof) for line in self.lines)
        return AssetCheckSeverity.ERROR if wrong else AssetCheckSeverity.WARN

    @property
    def summary(self) -> str:
        """A sentence a gate, as paragraphs of Markdown: the first thing a page of a check shows."""
        return "\n\n".join(line.sentence for line in self.lines) or self.nothing or "No gate stands here."

    @property
    def metadata(self) -> dict[str, MetadataValue]:
        """The same as a table; what was seen stays in the ledger."""
        return {"gates": self.table} if self.lines else {}

    @property
    def table(self) -> TableMetadataValue:
        return MetadataValue.table([_row(line) for line in self.lines], schema=_COLUMNS)


def answered(plan: Plan, point: str, answers: Mapping[str, Answer], asked_at: datetime) -> GateReport:
    """The gates of a point as they answered just now; a freeze of the project is one that no plan has."""
    lines: list[GateLine] = []
    unplanned = [(gate, None) for gate in answers if gate not in dict(_planned(plan, point))]
    for gate, kind in [*_planned(plan, point), *unplanned]:
        answer = answers.get(gate)
        if answer is None:
            reason = "it reads many rows, so it waits until the others hold"
            lines.append(GateLine(gate, kind, reason=reason))
        else:
            lines.append(GateLine(gate, kind, answer.state, answer.reason, answer.holds_at, asked_at))
    return GateReport(tuple(lines))


def recorded(plan: Plan, point: str, records: Sequence[GateRecord]) -> GateReport:
    """The gates of a point as the ledger has their last answers."""
    known = {record.gate: record for record in records if record.point == point}
    lines: list[GateLine] = []
    for gate, kind in _planned(plan, point):
        record = known.get(gate)
        if record is None:
            lines.append(GateLine(gate, kind, reason="the ledger has no answer of it"))
        else:
            lines.append(GateLine(gate, kind, record.state, record.reason, record.holds_at, record.checked_at))
    return GateReport(tuple(lines))


def unasked(plan: Plan, point: str, why: str) -> GateReport:
    """The gates of a point that it is too early to ask."""
    return GateReport(tuple(GateLine(gate, kind, reason=why) for gate, kind in _planned(plan, point)))


def _planned(plan: Plan, point: str) -> Iterable[tuple[str, str | None]]:
    for planned in plan.gates_at(point):
        yield gate_of(planned).label, planned.kind


def _row(line: GateLine) -> TableRecord:
    return TableRecord(
        {
            "gate": line.gate,
            "state": line.state or "not asked",
            "reason": line.reason,
            "may hold at": _moment(line.holds_at),
            "asked at": _moment(line.asked_at),
        }
    )


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}" if at is not None else ""
