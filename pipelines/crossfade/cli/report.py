"""crossfade report: what the suites of a migration found, as a page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.project import MigrationName, open_project, record_of
from crossfade.errors import CrossfadeError


def report(
    ctx: typer.Context,
    migration: MigrationName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the page there; default: print it.")
    ] = None,
) -> None:
    """Write what the suites of a migration found when they were last asked, as a page of HTML.

    It is made of the ledger's counts: no suite is asked, no row is read, and a browser needs nothing else to show it.
    """
    from crossfade.execute import reading
    from crossfade.execute.ledgers import readable_ledger
    from crossfade.report import suites_page

    project = open_project(ctx)
    record = record_of(project, migration)
    home: str = record.plan["databases"][0]
    with reading(project.databases[home], "crossfade report") as connection:
        page = suites_page(record.id, readable_ledger(connection).gates(record.id))
    if output is None:
        typer.echo(page, nl=False)
        return
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CrossfadeError(f"{output} could not be written: {error.strerror}", fix="name another file") from None
    typer.echo(f"wrote {output}")
