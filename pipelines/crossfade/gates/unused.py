"""unused: no statement was seen to use a column for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from crossfade.composing import sql
from crossfade.gates._failure import asking
from crossfade.gates._gate import Answer, Foresight, Gate, GateContext
from crossfade.spec.values import ColumnName, Duration, format_duration

if TYPE_CHECKING:
    from crossfade.usage.evidence import Evidence, Gap

_SHOWN = 160  # characters of a statement


class UnusedGate(Gate):
    """Hold when samples of pg_stat_statements cover a time in which no statement was seen to use a column."""

    unused: ColumnName = Field(description="The column: `table.column`, or with its schema before.")
    for_: Duration = Field(alias="for", description="The time that the samples must cover, up to now.")
    database: str | None = Field(
        None, description="A name from databases.yaml; default: the database of the migration."
    )
    accept: tuple[Literal["evictions", "replicas"], ...] = Field(
        (),
        description="Evidence whose loss is accepted: `evictions` of statements between two samples, `replicas` that"
        " are not sampled.",
    )

    @property
    def label(self) -> str:
        where = f" in {self.database}" if self.database else ""
        return f"unused {self.unused} for {format_duration(self.for_)}{where}"

    def ask(self, context: GateContext) -> Answer:
        # Here, because of the driver and the parser, which a gate that is only read does not need.
        from crossfade.catalog.snapshot import read_catalog
        from crossfade.ledger import Ledger
        from crossfade.usage.evidence import column_named, evidence_of

        with asking(self.label), context.open(self.database or context.database) as session:
            row = session.execute("SELECT pg_catalog.current_schemas(false)::text[]").fetchone()
            assert row is not None
            path, catalog = tuple(row[0]), read_catalog(session)
            named = column_named(catalog, path, self.unused)
            if named is None:
                return Answer("never", f"there is no column {self.unused}")
            since = context.now - self.for_
            evidence = evidence_of(Ledger(session), catalog, path, *named, since=since, now=context.now)
        return self._answer(evidence)

    def _answer(self, evidence: Evidence) -> Answer:
        from crossfade.usage.evidence import moment

        told = evidence.told()
        if found := evidence.used or evidence.suspect:
            latest = max(found, key=lambda sighting: sighting.called_at)
            text = latest.statement.text
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            verb = "used" if evidence.used else "maybe used"
            more = f"; {len(found) - 1} more" if len(found) > 1 else ""
            reason = f"{verb} by {latest.statement.role}, last seen {moment(latest.called_at)}: {shown}{more}"
            return Answer("waits", reason, latest.called_at + self.for_, told)
        if evidence.writes:
            latest = evidence.writes[0]
            more = f"; {_counted(len(evidence.writes) - 1, 'other writer')}" if len(evidence.writes) > 1 else ""
            reason = (
                f"written by {latest.role} ({latest.application or 'no application_name'}), at least"
                f" {_counted(latest.calls, 'write')}, last counted {moment(latest.last_at)}{more}"
            )
            return Answer("waits", reason, latest.last_at + self.for_, told)
        accepted = {gap.loss for gap in evidence.gaps if gap.loss in self.accept}
        if gaps := [gap for gap in evidence.gaps if gap.loss not in accepted]:
            times = [gap.until for gap in gaps if gap.until is not None]
            holds_at = max(times) if len(times) == len(gaps) else None
            return Answer("waits", "; ".join(map(_told, gaps)), holds_at, told)
        looked = f"{_counted(evidence.statements, 'statement')} on {_counted(len(evidence.nodes), 'server')}"
        reason = f"no use was seen for {format_duration(self.for_)} in {looked}; the evidence says what stays unseen"
        if accepted:
            reason += f"; accepted: {', '.join(sorted(filter(None, accepted)))} in that time"
        return Answer("holds", reason, evidence=told)

    def foresee(self, foresight: Foresight) -> None:
        *relation, column = self.unused.split(".")
        query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier(*relation))
        foresight.columns(query.as_string(None), self.database or foresight.database)


def _told(gap: Gap) -> str:
    return gap.what if gap.loss is None else f"{gap.what}, or have the gate `accept: [{gap.loss}]`"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
