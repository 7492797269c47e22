"""crossfade usage: is a column still used, as far as the server's statistics of statements tell."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.failure import print_problems
from crossfade.cli.project import AsJson, database_named, open_project
from crossfade.cli.terminal import err
from crossfade.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossfade.spec import Database
    from crossfade.usage.evidence import Evidence, Sighting

_SHOWN = 10  # statements of each sort


def usage(
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="TABLE.COLUMN", help="The column; or `sample`, to take a sample now.", show_default=False
        ),
    ],
    database: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Default: the only one; for `sample`: all.", show_default=False),
    ] = None,
    for_: Annotated[str, typer.Option("--for", metavar="DURATION", help="How far back to look.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """Show which statements were seen to use a column, by whom, and what could not be seen.

    The evidence is samples of pg_stat_statements: `crossfade usage sample` takes one, Dagster one every half minute.
    Statements of crossfade's own role are left out, literals are never kept. It finds use; that there is none, nothing
    can prove.
    """
    project = open_project(ctx)
    chosen = [database_named(project, database)] if database is not None else [*project.databases.values()]
    if what == "sample":
        _sample(chosen, as_json=as_json)
        return
    if len(chosen) != 1:
        raise UsageError("which database is the column of?", fix=f"--database {' | '.join(project.databases)}")
    evidence = _evidence(chosen[0], what, _duration(for_))
    if as_json:
        typer.echo(json.dumps(evidence.told(), indent=2, ensure_ascii=False))
    else:
        _print(evidence)


def _sample(databases: Sequence[Database], *, as_json: bool) -> None:
    from crossfade.execute.sampling import sample

    done = sample(databases)
    if as_json:
        data = [
            {
                "database": each.database,
                "sampled": [
                    {"node": node.node, "statements": node.statements, "called": node.called, "first": node.new}
                    for node in each.sampled
                ],
                "problems": [problem.what for problem in each.problems],
            }
            for each in done
        ]
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        for each in done:
            for node in each.sampled:
                since = "the first sample" if node.new else f"{node.called} called since the last sample"
                typer.echo(f"{each.database}: {node.node}: {node.statements} statements, {since}")
    problems = [problem for each in done for error in each.problems for problem in error.problems]
    if problems:
        if not as_json:
            print_problems(problems, err())
        raise typer.Exit(1)


def _evidence(database: Database, text: str, window: timedelta) -> Evidence:
    from crossfade.catalog.snapshot import read_catalog
    from crossfade.execute import reading
    from crossfade.execute.ledgers import readable_ledger
    from crossfade.ledger import LedgerError, is_installed
    from crossfade.usage.evidence import column_named, evidence_of

    with reading(database, "crossfade usage") as connection:
        if not is_installed(connection):
            raise LedgerError(
                f"nothing is known of database `{database.name}`",
                why="samples are kept in the ledger, which is not there yet",
                fix="take one: `crossfade usage sample`",
            )
        row = connection.execute("SELECT pg_catalog.current_schemas(false)::text[]").fetchone()
        assert row is not None
        path, catalog = tuple(row[0]), read_catalog(connection)
        named = column_named(catalog, path, text)
        if named is None:
            raise UsageError(f"database `{database.name}` has no column {text}", fix="write it as table.column")
        ledger = readable_ledger(connection)
        now = ledger.now()
        return evidence_of(ledger, catalog, path, *named, since=now - window, now=now)


def _duration(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from crossfade.spec.values import Duration

    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise UsageError(f"--for {text}: {error.errors()[0]['msg']}", fix="write e.g. --for 24h") from None


def _print(evidence: Evidence) -> None:
    from crossfade.report.measures import said_moment

    typer.echo(f"{evidence.table}.{evidence.column}: {evidence.verdict} since {said_moment(evidence.since)}")
    for words, sightings in (("used", evidence.used), ("suspect", evidence.suspect)):
        for sighting in sightings[:_SHOWN]:
            typer.echo(f"  {words}: {_said(sighting)}")
        if len(sightings) > _SHOWN:
            typer.echo(f"  and {len(sightings) - _SHOWN} more ({words}); --json shows them")
    for writes in evidence.writes[:_SHOWN]:
        typer.echo(
            f"  written: {writes.role} ({writes.application or 'no application_name'}), at least {writes.calls} writes"
            f" since {said_moment(writes.first_at)}, last counted {said_moment(writes.last_at)}"
        )
    for node in evidence.nodes:
        typer.echo(
            f"  {node.node}: PostgreSQL {node.server_version // 10000}, {node.samples} samples since"
            f" {said_moment(node.covered_since)}, the last {said_moment(node.sampled_at)}, {node.evicted} evictions"
        )
    for gap in evidence.gaps:
        typer.echo(f"  not covered: {gap.what}")
    for limit in evidence.limits:
        typer.echo(f"  not seen: {limit}")


def _said(sighting: Sighting) -> str:
    from crossfade.report.measures import said_moment

    statement = sighting.statement
    return (
        f"{statement.role} on {statement.node} {sighting.how}, {statement.seen} calls, last"
        f" {said_moment(sighting.called_at)}: {statement.text}"
    )
