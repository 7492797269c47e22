"""crossfade check: specs and suites, without a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.failure import place_of, print_problems
from crossfade.cli.project import AsJson
from crossfade.cli.terminal import out
from crossfade.errors import Problem, UsageError

if TYPE_CHECKING:
    from crossfade.spec import Project


def check(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files or folders; the whole project of each is checked."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check specs and suites; no database is needed.

    All specs and suites are read, their order is sound, and what they name exists. Each problem is told with its
    file, line and column. Exit code 1 when there is one.
    """
    from crossfade.spec import find_root

    starts: list[Path] = paths or [ctx.obj]
    for start in starts:
        if not start.exists():
            raise UsageError(f"there is no file or folder {start}")
    roots = list(dict.fromkeys(find_root(start) for start in starts))
    checked = [_checked(root) for root in roots]
    problems = [problem for _, found in checked for problem in found]
    count = sum(len(project.migrations) + len(project.of_fleets) for project, _ in checked if project is not None)
    if as_json:
        typer.echo(json.dumps({"migrations": count, "problems": [_data(problem) for problem in problems]}, indent=2))
    elif problems:
        print_problems(problems, out())
        typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
    else:
        typer.echo(f"{count} migration{'' if count == 1 else 's'}: nothing is wrong")
    raise typer.Exit(1 if problems else 0)


def _checked(root: Path) -> tuple[Project | None, list[Problem]]:
    """The project, None when databases.yaml cannot be read, and all that is wrong in its files."""
    from crossfade.changes import CHANGES
    from crossfade.gates import GATES
    from crossfade.gates.expectations import checked_suites, missing_suites
    from crossfade.spec import SpecError, load_project

    try:
        project = load_project(root, changes=CHANGES, gates=GATES, strict=False)
    except SpecError as error:
        return None, [*error.problems, *checked_suites(root)]
    problems = [problem for error in project.broken for problem in error.problems]
    problems += checked_suites(root, {*project.databases, *project.fleets})
    problems += missing_suites(root, (*project.migrations, *project.of_fleets))
    return project, problems


def _data(problem: Problem) -> dict[str, Any]:
    where = problem.where
    place = {"file": str(where.file), "line": where.line, "column": where.column} if where else {}
    return {"what": problem.what, **place, "at": place_of(where) if where else None} | {
        "why": problem.why,
        "fix": problem.fix,
    }
