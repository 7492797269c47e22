"""crossfade conflicts: the rows that cannot be mapped, by key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from crossfade.cli.project import AsJson, MigrationName, database_named, migration_named, open_project, record_of
from crossfade.cli.terminal import out

if TYPE_CHECKING:
    from crossfade.ledger import ConflictRecord


def conflicts(ctx: typer.Context, migration: MigrationName, as_json: AsJson = False) -> None:
    """List the rows a migration cannot map, by key.

    Old writes never fail for such a row, but contract is refused while there is one. Mend the old value, and the
    sync trigger maps the row.
    """
    from crossfade.execute import reading
    from crossfade.ledger import Ledger

    project = open_project(ctx)
    record = record_of(project, migration_named(project, migration))
    found: list[tuple[str, ConflictRecord]] = []
    for name in record.plan["databases"]:
        with reading(database_named(project, name), "crossfade conflicts") as connection:
            found += [(name, each) for each in Ledger(connection).conflicts(migration)]
    if as_json:
        typer.echo(json.dumps([_data(*each) for each in found], indent=2, ensure_ascii=False))
    elif found:
        _print(found)
        typer.echo(f"{len(found)} open")
    else:
        typer.echo(f"{migration} has no open conflicts")


def _print(found: list[tuple[str, ConflictRecord]]) -> None:
    from rich.table import Table

    table = Table("database", "table", "key", "why", "seen", box=None, pad_edge=False, header_style="bold")
    for database, each in found:
        key = ", ".join(f"{name}={value}" for name, value in (each.key or {}).items()) or "it has no key"
        seen = each.seen_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(database, each.relation, key, _meaning(each.sqlstate), seen)
    out().print(table)


def _data(database: str, each: ConflictRecord) -> dict[str, Any]:
    return {
        "database": database,
        "relation": each.relation,
        "key": each.key,
        "sqlstate": each.sqlstate,
        "why": _meaning(each.sqlstate),
        "seen_at": each.seen_at.isoformat(),
    }


def _meaning(sqlstate: str) -> str:
    """PostgreSQL's own name of the condition, e.g. `invalid text representation`."""
    from psycopg.errors import lookup

    try:
        name = lookup(sqlstate).__name__
    except KeyError:
        return f"SQLSTATE {sqlstate}"
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()
