"""crossfade conflicts: the rows that cannot be mapped."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.project import AsJson, MigrationName, database_named, open_project, record_of
from crossfade.cli.terminal import out

if TYPE_CHECKING:
    from crossfade.ledger import ConflictRecord
    from crossfade.spec import Database


def conflicts(
    ctx: typer.Context,
    migration: MigrationName,
    values: Annotated[
        bool,
        typer.Option("--values", metavar="", help="Show the rows' keys, which are values of your data."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the rows a migration cannot map: their table, the columns of their key, why, and since when.

    Old writes never fail for such a row, but contract is refused while there is one. Mend the old value, and the sync
    trigger maps the row; what was mended elsewhere is tried again when `crossfade up` runs.
    """
    from crossfade.execute import reading
    from crossfade.execute.ledgers import readable_ledger

    project = open_project(ctx)
    record = record_of(project, migration)
    found: list[tuple[str, ConflictRecord]] = []
    for name in record.plan["databases"]:
        database = database_named(project, name)
        with reading(database, "crossfade conflicts") as connection:
            found += [
                (name, _without_people(database, each)) for each in readable_ledger(connection).conflicts(migration)
            ]
    if as_json:
        listed = [_data(database, each, values=values) for database, each in found]
        typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    elif found:
        _print(found, values=values)
        more = "" if values else "; `--values` shows which rows"
        typer.echo(f"{len(found)} open; mend them, then `crossfade up {migration}` tries them again{more}")
    else:
        typer.echo(f"{migration} has no open conflicts")


def _without_people(database: Database, conflict: ConflictRecord) -> ConflictRecord:
    """What databases.yaml says is personal is shown to nobody, asked for or not."""
    schema, _, table = conflict.relation.partition(".")
    key = {
        name: "(personal)" if database.is_personal(schema, table, name) else value
        for name, value in (conflict.key or {}).items()
    }
    return replace(conflict, key=key or None)


def _print(found: list[tuple[str, ConflictRecord]], *, values: bool) -> None:
    from rich.table import Table

    from crossfade.report.measures import said_ago
    from crossfade.server_words import condition

    now = datetime.now(UTC)
    table = Table("database", "table", "key", "why", "seen", box=None, pad_edge=False, header_style="bold")
    for database, each in found:
        table.add_row(
            database,
            each.relation,
            _key(each.key, values=values),
            f"{condition(each.sqlstate)} ({each.sqlstate})",
            said_ago(each.seen_at, now),
        )
    out().print(table)


def _key(key: dict[str, Any] | None, *, values: bool) -> str:
    if not key:
        return "it has no key"
    return ", ".join(f"{name}={value}" if values else name for name, value in key.items())


def _data(database: str, each: ConflictRecord, *, values: bool) -> dict[str, Any]:
    from crossfade.server_words import condition

    key = each.key or {}
    return {
        "database": database,
        "relation": each.relation,
        "key_columns": list(key),
        **({"key": each.key} if values else {}),
        "sqlstate": each.sqlstate,
        "why": condition(each.sqlstate),
        "seen_at": each.seen_at.isoformat(),
        "age_seconds": round((datetime.now(UTC) - each.seen_at).total_seconds()),
    }
