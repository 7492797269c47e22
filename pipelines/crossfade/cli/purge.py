"""crossfade purge: drop old values whose time is over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from crossfade.cli.failure import end_in_order_on_sigterm
from crossfade.cli.project import AsJson, OneMigration, Yes, open_project
from crossfade.cli.terminal import ask, is_conversation

if TYPE_CHECKING:
    from crossfade.execute.purge import Expired


def purge(
    ctx: typer.Context,
    migration: OneMigration = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Drop old values of complete migrations that were kept for as long as their spec says.

    Lists them, and asks before it drops any; where nobody can be asked, only with --yes. A migration cannot be rolled
    back past what was dropped.
    """
    from crossfade.execute import Runner
    from crossfade.execute.purge import expired
    from crossfade.execute.purge import purge as drop

    project = open_project(ctx)
    found = expired(project, migration)
    if not as_json:
        _print(found)
    agreed = yes or (bool(found) and not as_json and is_conversation() and ask("Drop them for good?"))
    gone: list[Expired] = []
    if agreed:
        end_in_order_on_sigterm()
        runner = Runner(project)
        for each in drop(project, found, runner.holder, runner.listen):
            gone.append(each)
            if not as_json:
                typer.echo(f"dropped crossfade.{each.stored_in} of {each.migration}")
    if as_json:
        typer.echo(json.dumps([_data(each, purged=each in gone) for each in found], indent=2, ensure_ascii=False))
    elif found and not agreed:
        typer.echo("nothing was dropped; `crossfade purge --yes` drops them")


def _print(found: tuple[Expired, ...]) -> None:
    from crossfade.report.measures import said_bytes, said_moment

    if not found:
        typer.echo("no old values are kept for longer than their spec says")
    for each in found:
        typer.echo(
            f"{each.migration}: {each.relation} ({', '.join(each.columns)}) in {each.database},"
            f" {said_bytes(each.bytes)}, kept until {said_moment(each.keep_until)}"
        )


def _data(each: Expired, *, purged: bool) -> dict[str, Any]:
    return {
        "database": each.database,
        "migration": each.migration,
        "relation": each.relation,
        "columns": each.columns,
        "stored_in": each.stored_in,
        "keep_until": each.keep_until.isoformat(),
        "bytes": each.bytes,
        "purged": purged,
    }
