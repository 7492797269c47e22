"""What samples tell about a column: used, suspect, or no evidence of use, with the limits of what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from crossfade.catalog.model import Catalog, Name
from crossfade.ledger import Ledger, OldWrites, UsageNode, UsageStatement
from crossfade.usage.statement import Found, Reader

FRESH = timedelta(minutes=10)  # the age of the last sample up to which nothing is missing at the window's end

Verdict = Literal["used", "suspect", "no evidence"]
Loss = Literal["evictions", "replicas"]  # of evidence, for good; who knows what else was called may accept it


@dataclass(frozen=True)
class Sighting:
    """A statement that uses the column, or may. how: `reads`, `writes`, or why it is suspect."""

    statement: UsageStatement
    how: str

    @property
    def called_at(self) -> datetime:
        """The sample that last found it called."""
        assert self.statement.called_at is not None
        return self.statement.called_at

    def told(self) -> dict[str, Any]:
        return {
            "statement": self.statement.text,
            "role": self.statement.role,
            "node": self.statement.node,
            "how": self.how,
            "calls": self.statement.seen,
            "last_called": self.called_at.isoformat(),
        }


@dataclass(frozen=True)
class Gap:
    """Why the samples do not cover the whole time. until: when it will have passed by itself. loss: what was lost."""

    what: str
    until: datetime | None = None
    loss: Loss | None = None


@dataclass(frozen=True)
class Evidence:
    """What was seen of a column since a moment.

    statements: how many were called since then. writes: what triggers counted, of any text and within functions too.
    counts_writes: such triggers are there now.
    covered_since: from when on all nodes are covered; None without a sample.
    """

    table: Name
    column: str
    since: datetime
    used: tuple[Sighting, ...]
    suspect: tuple[Sighting, ...]
    nodes: tuple[UsageNode, ...]
    gaps: tuple[Gap, ...]
    covered_since: datetime | None = None
    statements: int = field(default=0)
    writes: tuple[OldWrites, ...] = ()
    counts_writes: bool = False

    @property
    def verdict(self) -> Verdict:
        return "used" if self.used or self.writes else "suspect" if self.suspect else "no evidence"

    @property
    def limits(self) -> tuple[str, ...]:
        """What could have been there and not been seen."""
        limits = [limit for node in self.nodes for limit in _limits(node)]
        return tuple(dict.fromkeys((*limits, *(_OF_COUNTING if self.counts_writes else ()))))

    def told(self) -> Mapping[str, Any]:
        """For the ledger, and for other programs."""
        return {
            "column": f"{self.table}.{self.column}",
            "verdict": self.verdict,
            "since": self.since.isoformat(),
            "covered_since": self.covered_since.isoformat() if self.covered_since is not None else None,
            "statements": self.statements,
            "used": [sighting.told() for sighting in self.used[:_SHOWN]],
            "suspect": [sighting.told() for sighting in self.suspect[:_SHOWN]],
            "writes": [_writer(each) for each in self.writes[:_SHOWN]],
            "not_shown": sum(max(len(each) - _SHOWN, 0) for each in (self.used, self.suspect, self.writes)),
            "nodes": [_node(node) for node in self.nodes],
            "gaps": [gap.what for gap in self.gaps],
            "limits": list(self.limits),
        }


_COUNTING = Name("crossfade", "count_write")  # the function of those triggers
_SHOWN = 20  # statements of each sort in the ledger, and writers
_OF_COUNTING = ("by triggers: an INSERT that gives the column NULL or its default, and rows that replication brings",)


def evidence_of(
    ledger: Ledger, catalog: Catalog, path: tuple[str, ...], table: Name, column: str, *, since: datetime, now: datetime
) -> Evidence:
    """What the ledger's samples tell of a column of its database.

    path: where sessions of applications find bare names.
    """
    nodes = ledger.usage_nodes()
    statements = [each for each in ledger.usage_statements(since) if each.text]
    reader = Reader(catalog, path)
    used: list[Sighting] = []
    suspect: list[Sighting] = []
    for statement in statements:
        found = reader.read(statement.text) if statement.names is None else Found(said=frozenset(statement.names))
        if found.touches(table, column):
            used.append(Sighting(statement, " and ".join(_how(found, table, column))))
        elif found.suspects(table, column):
            suspect.append(Sighting(statement, _why(found, column)))
    writes = ledger.old_writes(str(table), column, since)
    covered = max((node.covered_since for node in nodes), default=None)
    gaps = (*_gaps(nodes, since, now),) if nodes else (Gap("no sample was taken yet: `crossfade usage sample`"),)
    counts = any(
        trigger.function == _COUNTING and column in trigger.arguments for trigger in catalog.tables[table].triggers
    )
    return Evidence(
        table, column, since, tuple(used), tuple(suspect), nodes, gaps, covered, len(statements), writes, counts
    )


def _how(found: Found, table: Name, column: str) -> list[str]:
    return sorted({use.how for use in found.uses if use.place == (table, column)})


def _why(found: Found, column: str) -> str:
    if column in found.said:
        return "names it in text that could not be resolved"
    return "uses it in a session whose search_path finds this table first"


def _gaps(nodes: Sequence[UsageNode], since: datetime, now: datetime) -> Iterator[Gap]:
    for node in nodes:
        own = ", ".join(node.left_out)
        if now - node.sampled_at > FRESH:
            yield Gap(f"{node.node} was last sampled at {moment(node.sampled_at)}: `crossfade usage sample`")
        if node.unread_at is not None and node.unread_at > since:
            what = f"{node.node} hides the statements of other roles: GRANT pg_read_all_stats TO {own}"
            yield Gap(what, node.unread_at + (now - since))
        if node.shared_at is not None and node.shared_at > since:
            what = (
                f"other programs log in as {own} on {node.node}, whose statements are left out as crossfade's own:"
                " give crossfade a role of its own"
            )
            yield Gap(what, node.shared_at + (now - since))
        if node.covered_since > since:
            what = f"{node.node} is covered since {moment(node.covered_since)}"
            yield Gap(what, node.covered_since + (now - since))
        if node.evicted_at is not None and node.evicted_at > since:
            what = (
                f"{node.node} evicted statements until {moment(node.evicted_at)}, of which some may have been called"
                " and forgotten between two samples: raise pg_stat_statements.max"
            )
            yield Gap(what, node.evicted_at + (now - since), "evictions")
        if node.unsampled_at is not None and node.unsampled_at > since:
            what = (
                f"a standby of {node.node} was not sampled until {moment(node.unsampled_at)}: name where the URL of"
                " each is kept under `replicas` in databases.yaml"
            )
            yield Gap(what, node.unsampled_at + (now - since), "replicas")


def _limits(node: UsageNode) -> Iterator[str]:
    yield "statements that failed, and those still running"
    yield "what triggers, policies and defaults read, DO blocks that say `*`, and dynamic SQL that names no column"
    yield from node.limits


def _node(node: UsageNode) -> dict[str, Any]:
    return {
        "node": node.node,
        "version": node.server_version // 10000,
        "covered_since": node.covered_since.isoformat(),
        "sampled_at": node.sampled_at.isoformat(),
        "samples": node.samples,
        "longest_gap_seconds": round(node.longest_gap.total_seconds()),
        "evictions": node.evicted,
        "left_out": list(node.left_out),
    }


def _writer(writes: OldWrites) -> dict[str, Any]:
    return {
        "role": writes.role,
        "application": writes.application,
        "calls": writes.calls,
        "first": writes.first_at.isoformat(),
        "last": writes.last_at.isoformat(),
    }


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def column_named(catalog: Catalog, path: Sequence[str], text: str) -> tuple[Name, str] | None:
    """The table and the column of `table.column` or `schema.table.column`; None where there is none such."""
    *relation, column = text.split(".")
    if not 1 <= len(relation) <= 2:
        return None
    for name in (Name(each, relation[-1]) for each in relation[:-1] or path):
        if name in catalog.tables and column in catalog.tables[name].by_name:
            return name, column
    return None
