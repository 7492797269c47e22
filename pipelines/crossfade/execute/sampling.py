"""Samples the statistics of statements of a project's databases, and of their replicas, into the ledgers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.ledgers import writable_ledger
from crossfade.execute.session import reading
from crossfade.gates.unused import UnusedGate
from crossfade.ledger import Ledger, install
from crossfade.server_words import told
from crossfade.spec import Database, Project
from crossfade.usage.sample import PRIMARY, NoStatistics, Sampled, take_sample

_APPLICATION = "crossfade usage"


@dataclass(frozen=True)
class Sampling:
    """What became of a database's sample. problems: of the servers that gave none."""

    database: str
    sampled: tuple[Sampled, ...]
    problems: tuple[CrossfadeError, ...] = ()


def watched(project: Project) -> tuple[Database, ...]:
    """The databases of which a migration asks whether a column is used."""
    names = {
        gate.body.database or migration.head.database
        for migration in project.migrations
        for gates in migration.gates.values()
        for gate in gates
        if isinstance(gate.body, UnusedGate)
    }
    return tuple(database for name, database in project.databases.items() if name in names)


def sample(databases: Iterable[Database]) -> tuple[Sampling, ...]:
    """Take a sample of each database and of its replicas. One that gives none keeps no other from being sampled.

    The ledger is made where there is none yet.
    """
    return tuple(_sample(database) for database in databases)


def _sample(database: Database) -> Sampling:
    sampled: list[Sampled] = []
    problems: list[CrossfadeError] = []
    try:
        with writable_ledger(database, _APPLICATION) as ledger:
            install(ledger.connection)
            ledger.gather_old_writes()
            ledger.keep_usage_nodes((PRIMARY, *database.replicas))
            for node in (PRIMARY, *database.replicas):
                try:
                    sampled.append(_sample_node(database, ledger, node))
                except (CrossfadeError, psycopg.Error) as error:
                    problems.append(_problem(database, node, error))
                    if ledger.connection.closed:
                        break
    except (CrossfadeError, psycopg.Error) as error:
        problems.append(_problem(database, PRIMARY, error))
    return Sampling(database.name, tuple(sampled), tuple(problems))


def _sample_node(database: Database, ledger: Ledger, node: str) -> Sampled:
    now = ledger.now()
    if node == PRIMARY:
        return take_sample(ledger.connection, ledger, node, now)
    with reading(database.replica(node), _APPLICATION) as connection:
        return take_sample(connection, ledger, node, now)


def _problem(database: Database, node: str, error: CrossfadeError | psycopg.Error) -> CrossfadeError:
    if isinstance(error, CrossfadeError):
        return error
    return NoStatistics(
        f"{node} of database `{database.name}` could not be sampled: {told(error)}",
        why=f"SQLSTATE {error.sqlstate}" if error.sqlstate else "the connection was lost",
        fix="take the next sample when it answers",
    )
