"""crossfade audit: the ledger's events, and the proof that none was edited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli import exports
from crossfade.cli.failure import print_problems
from crossfade.cli.project import AsJson, OneMigration, database_named, open_project, record_of
from crossfade.cli.terminal import err, out
from crossfade.errors import CrossfadeError, UsageError

if TYPE_CHECKING:
    from crossfade.ledger import EventRecord, Link
    from crossfade.spec import Database, Project

commands = typer.Typer(no_args_is_help=True)


@commands.callback()
def audit() -> None:
    """Read the ledger's events, and prove that none was edited."""


OneDatabase = Annotated[
    str | None, typer.Argument(metavar="DATABASE", help="Only this one; default: all.", show_default=False)
]


@commands.command(epilog="crossfade audit verify\n\ncrossfade audit verify --export events.jsonl")
def verify(
    ctx: typer.Context,
    database: OneDatabase = None,
    exported: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help="An earlier `crossfade audit export`: the chain must still begin with it.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute the chain of events and name the first one that was touched.

    Exit code 1 when a chain is broken or a database does not answer.
    """
    project = open_project(ctx)
    earlier = exports.read(exported) if exported is not None else {}
    wanted = _wanted(project, database)
    if missing := sorted(set(earlier) - {each.name for each in project.databases.values()}):
        raise UsageError(f"{exported} is of database {missing[0]}, which databases.yaml does not name")
    results = [_verified(each, earlier.get(each.name)) for each in wanted]
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    else:
        for result in results:
            typer.echo(_said(result))
    if not all(result["sound"] for result in results):
        raise typer.Exit(1)


@commands.command(epilog="crossfade audit export > events.jsonl")
def export(ctx: typer.Context, database: OneDatabase = None) -> None:
    """Write every event with its hash, one JSON object a line, to be kept where nobody who owns a ledger can write.

    `crossfade audit verify --export FILE` compares a ledger with it later on.
    """
    from crossfade.execute import reading
    from crossfade.execute.ledgers import readable_ledger
    from crossfade.ledger import export as links_of
    from crossfade.ledger import is_installed

    for each in _wanted(open_project(ctx), database):
        with reading(each, "crossfade audit") as connection:
            if is_installed(connection):
                readable_ledger(connection)
                for link in links_of(connection):
                    typer.echo(exports.line(each.name, link))


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


def _wanted(project: Project, database: str | None) -> list[Database]:
    return [database_named(project, database)] if database is not None else list(project.databases.values())


def _verified(database: Database, earlier: Link | None) -> dict[str, Any]:
    """earlier: the last link of an export of it."""
    from crossfade.execute import reading
    from crossfade.execute.ledgers import readable_ledger
    from crossfade.ledger import is_installed, still_holds, verify

    result: dict[str, Any] = {"database": database.name, "sound": False, "events": None, "problem": None}
    try:
        with reading(database, "crossfade audit") as connection:
            if not is_installed(connection):
                lost = "there is no ledger, and the export has one" if earlier is not None else None
                return result | {"sound": lost is None, "events": 0, "problem": lost}
            readable_ledger(connection)
            count, tampered = verify(connection)
            if tampered is None and earlier is not None and not still_holds(connection, earlier):
                return result | {"events": 0, "problem": f"it does not begin with the {earlier.seq} events exported"}
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
