"""crossfade audit: the ledger's events, and the proof that none was edited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.failure import print_problems
from crossfade.cli.project import AsJson, OneMigration, database_named, open_project, record_of
from crossfade.cli.terminal import err, out
from crossfade.errors import CrossfadeError

if TYPE_CHECKING:
    from crossfade.ledger import EventRecord
    from crossfade.spec import Database, Project

commands = typer.Typer(no_args_is_help=True)


@commands.callback()
def audit() -> None:
    """Read the ledger's events, and prove that none was edited."""


@commands.command(epilog="crossfade audit verify")
def verify(
    ctx: typer.Context,
    database: Annotated[
        str | None,
        typer.Argument(metavar="DATABASE", help="Only this one; default: all.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute the chain of events and name the first one that was touched.

    Exit code 1 when a chain is broken or a database does not answer.
    """
    project = open_project(ctx)
    wanted = [database_named(project, database)] if database is not None else list(project.databases.values())
    results = [_verified(each) for each in wanted]
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    else:
        for result in results:
            typer.echo(_said(result))
    if not all(result["sound"] for result in results):
        raise typer.Exit(1)


@commands.command(epilog="crossfade audit log normalize_emails --last 20")
def log(
    ctx: typer.Context,
    migration: OneMigration = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many of the newest.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened, oldest first: steps, gates, approvals, attempts and who did it."""
    from crossfade.execute import reading
    from crossfade.execute.ledgers import readable_ledger
    from crossfade.ledger import is_installed

    project = open_project(ctx)
    names = tuple(project.databases) if migration is None else _databases_that_tell(project, migration)
    events: list[tuple[str, EventRecord]] = []
    failed = False
    for name in names:
        try:
            with reading(project.databases[name], "crossfade audit") as connection:
                if is_installed(connection):
                    ledger = readable_ledger(connection)
                    found = ledger.newest_events(last, migration) if last is not None else ledger.events(migration)
                    events += [(name, event) for event in found]
        except CrossfadeError as error:
            failed = True
            print_problems(error.problems, err())
    events.sort(key=lambda pair: pair[1].at)
    for name, event in events[-last:] if last is not None else events:
        if as_json:
            typer.echo(json.dumps(_data(name, event), ensure_ascii=False))
        else:
            out().print(_line(name, event, many=len(names) > 1), soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _databases_that_tell(project: Project, migration: str) -> tuple[str, ...]:
    """By the spec, which may not have started; by the ledger when that is gone or wrong."""
    from crossfade.plan import databases_of

    spec = next((known for known in project.migrations if known.id == migration), None)
    return databases_of(spec) if spec is not None else tuple(record_of(project, migration).plan["databases"])


def _verified(database: Database) -> dict[str, Any]:
    from crossfade.execute import reading
    from crossfade.execute.ledgers import readable_ledger
    from crossfade.ledger import is_installed, verify

    result: dict[str, Any] = {"database": database.name, "sound": False, "events": None, "problem": None}
    try:
        with reading(database, "crossfade audit") as connection:
            if not is_installed(connection):
                return result | {"sound": True, "events": 0}
            readable_ledger(connection)
            count, tampered = verify(connection)
    except CrossfadeError as error:
        return result | {"problem": "; ".join(part for part in (error.what, error.why, error.fix) if part)}
    if tampered is not None:
        return result | {"events": count, "problem": f"event {tampered.seq} {tampered.what}"}
    return result | {"sound": True, "events": count}


def _said(result: dict[str, Any]) -> str:
    if result["events"] is None:
        return f"{result['database']}: not verified: {result['problem']}"
    if result["problem"] is not None:
        return f"{result['database']}: broken: {result['problem']}; the {result['events']} before it are sound"
    return f"{result['database']}: {result['events']} events, the chain is sound"


def _line(database: str, event: EventRecord, *, many: bool) -> str:
    details = ", ".join(f"{key}: {_plain(value)}" for key, value in event.body.items() if value not in (None, [], {}))
    moment = event.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    place = f"{database}  " if many else ""
    return f"{moment}  {place}{event.migration}  {event.kind}{f'  {details}' if details else ''}  ({event.role})"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _data(database: str, event: EventRecord) -> dict[str, Any]:
    return {
        "database": database,
        "seq": event.seq,
        "at": event.at.isoformat(),
        "migration": event.migration,
        "kind": event.kind,
        "role": event.role,
        "body": event.body,
    }
