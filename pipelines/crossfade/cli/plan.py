"""crossfade plan: what a migration will do, before it does anything."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from crossfade.cli.project import MigrationName, migration_named, of_fleet, open_project
from crossfade.cli.terminal import out


class Format(StrEnum):
    """How a plan is written."""

    text = "text"
    json = "json"
    markdown = "markdown"
    mermaid = "mermaid"


def plan(
    ctx: typer.Context,
    migration: MigrationName,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.text,
    sql: Annotated[bool, typer.Option("--sql", metavar="", help="With the statements of each step.")] = False,
) -> None:
    """Show what a migration will do: steps, locks, who waits, undo, risks and time.

    Reads the databases and writes nothing. Of a migration that has started, it is the frozen plan it runs by,
    and of one that is complete what was done, and when it ended. Of a fleet it is the first member's, with the waves
    and the members that differ.
    """
    from crossfade.execute import Runner
    from crossfade.execute.starting import find_record
    from crossfade.report import mermaid, plan_json, plan_markdown, print_plan

    project = open_project(ctx)
    told: list[str] = []
    if (shared := of_fleet(project, migration)) is not None:
        from crossfade.cli.fleet import canary_plan, told_of_fleet

        project, fleet, members, _ = canary_plan(project, shared)
        told = told_of_fleet(fleet, members, shared)
    named = migration_named(project, migration)
    found = Runner(project).plan(named)
    record = find_record(project, named)
    done = record.finished_at if record is not None and record.state == "complete" else None
    match form:
        case Format.text:
            print_plan(found, out(), sql=sql, completed=done)
            typer.echo("\n".join(told), nl=bool(told))
        case Format.json:
            data = plan_json(found, sql=sql, completed=done) | ({"fleet": told} if told else {})
            typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        case Format.markdown:
            typer.echo(plan_markdown(found, sql=sql, completed=done), nl=False)
            typer.echo("".join(f"\n    {line}" for line in told), nl=bool(told))
        case Format.mermaid:
            typer.echo(mermaid(found), nl=False)
