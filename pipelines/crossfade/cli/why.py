"""crossfade why: what a migration waits for."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from crossfade.cli.failure import print_problems
from crossfade.cli.project import AsJson, MigrationName, migration_named, open_project
from crossfade.cli.terminal import err, out


def why(
    ctx: typer.Context,
    migration: MigrationName,
    ask: Annotated[bool, typer.Option("--ask", metavar="", help="Ask the gates anew first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain what a migration waits for: each gate of its next phase or stage, and what else is in the way.

    Told from the ledger: what the gates said when they were last asked, since when, and when they may hold; a pause, a
    runner that works on it, rows in conflict, why its last run ended. Exit code 0, whatever it waits for.
    """
    from crossfade.execute import Lookout
    from crossfade.execute.why import explain
    from crossfade.report import print_why, why_json

    project = open_project(ctx)
    if ask:
        with Lookout(project) as lookout:
            lookout.look(migration_named(project, migration))
    explanation = explain(project, migration)
    if explanation is None:
        migration_named(project, migration)  # which says what is wrong with the name or the spec
        raise AssertionError("a migration that has a spec has a status")
    if as_json:
        typer.echo(json.dumps(why_json(explanation), indent=2, ensure_ascii=False))
    else:
        print_why(explanation, out())
    for error in explanation.status.unasked:
        print_problems(error.problems, err())
