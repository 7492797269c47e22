"""The project a command is about, and what is named in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.errors import Problem, UsageError

if TYPE_CHECKING:
    from crossfade.ledger import MigrationRecord
    from crossfade.spec import Database, Migration, Project

MEMBER = "crossfade.member"  # in the context of a command
EMBEDDED = ".crossfade/embedded.yaml"

MigrationName = Annotated[str, typer.Argument(metavar="MIGRATION", help="The migration's id.", show_default=False)]
OneMigration = Annotated[
    str | None,
    typer.Argument(metavar="MIGRATION", help="Only this one; default: all.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Write JSON, for other programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask; needed where no terminal is.")]


def open_project(ctx: typer.Context, *, strict: bool = False) -> Project:
    """Load the project of a command that works on its databases.

    strict: a spec that is wrong is an error; otherwise it is left out, and told where it is asked for by name.
    """
    from crossfade.changes import CHANGES
    from crossfade.gates import GATES
    from crossfade.spec import load_project

    start: Path = ctx.obj
    project = load_project(start, changes=CHANGES, gates=GATES, strict=strict)
    marker = project.root / EMBEDDED
    if marker.is_file():
        from crossfade.cli.embedded import embedded_databases

        ctx.with_resource(embedded_databases(marker))
    member: str | None = ctx.meta.get(MEMBER)
    return project if member is None else _of_member(project, member)


def _of_member(project: Project, name: str) -> Project:
    """name: of the member, after its fleet's and a slash where there are several fleets."""
    from crossfade.execute.fleet import resolve_members
    from crossfade.spec import did_you_mean

    of, _, member = name.rpartition("/")
    fleets = [fleet for fleet in project.fleets.values() if of in ("", fleet.name)]
    if len(fleets) != 1:
        raise UsageError(
            f"it is not said of which fleet `{member}` is",
            fix=f"write it as FLEET/{member}; fleets: {', '.join(project.fleets) or 'none'}",
        )
    members = {each.name: each for each in resolve_members(project, fleets[0])}
    if member not in members:
        raise UsageError(f"`{member}` is no member of `{fleets[0].name}`", fix=did_you_mean(member, members))
    return project.of_member(fleets[0], members[member])


def of_fleet(project: Project, name: str) -> Migration | None:
    """The migration `name` where it is one of a fleet."""
    return next((migration for migration in project.of_fleets if migration.id == name), None)


def _is_of_fleet(name: str) -> UsageError:
    return UsageError(
        f"`{name}` is of a fleet, and this is asked of one database",
        why="each member has a ledger of its own",
        fix="say which: `crossfade --member NAME ...`",
    )


def migration_named(project: Project, name: str) -> Migration:
    """The migration `name`; raises what is wrong with its spec, or UsageError when there is none."""
    from crossfade.spec import SpecError, did_you_mean

    for migration in project.migrations:
        if migration.id == name:
            return migration
    if of_fleet(project, name) is not None:
        raise _is_of_fleet(name)
    for error in project.broken:
        if error.migration == name:
            raise error
    unknown = Problem(
        f"there is no migration `{name}`",
        why="a migration's id is what its spec says after `migration:`",
        fix=did_you_mean(name, [migration.id for migration in project.migrations]),
    )
    if project.broken:
        # One of these may be the spec that was meant: nothing tells whose id it would have been.
        raise SpecError.of([unknown, *(problem for error in project.broken for problem in error.problems)])
    raise UsageError.of([unknown])


def database_named(project: Project, name: str) -> Database:
    """The database `name`; raises UsageError when there is none."""
    from crossfade.spec import did_you_mean

    if name in project.databases:
        return project.databases[name]
    raise UsageError(f"`{name}` is no database of this project", fix=did_you_mean(name, project.databases))


def record_of(project: Project, name: str) -> MigrationRecord:
    """The ledger's row of a migration that has started; raises Blocked for one that has not, UsageError for none.

    A spec that was edited or is gone is no reason to refuse: who must stop a migration may not have time for that.
    """
    from crossfade.execute import Blocked
    from crossfade.execute.starting import started_record

    if of_fleet(project, name) is not None:
        raise _is_of_fleet(name)
    try:
        return started_record(project, name)
    except Blocked:
        migration_named(project, name)
        raise
