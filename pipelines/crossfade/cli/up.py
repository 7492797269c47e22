"""crossfade up: take migrations forward as far as their gates allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.failure import TOKEN_VARIABLE, end_in_order_on_sigterm
from crossfade.cli.project import AsJson, Yes, migration_named, of_fleet, open_project
from crossfade.cli.terminal import is_conversation
from crossfade.errors import UsageError

if TYPE_CHECKING:
    from crossfade.spec import Migration, Project


def up(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MIGRATION", help="Only these; default: all that can go on.", show_default=False),
    ] = None,
    phase: Annotated[
        str | None,
        typer.Option(metavar="PHASE", help="No further than this phase, or stage of contract.", show_default=False),
    ] = None,
    oidc: Annotated[
        bool,
        typer.Option("--oidc", metavar="", help=f"Say who starts them: whom the token in {TOKEN_VARIABLE} names."),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take migrations forward, as far as their gates allow.

    On a terminal it shows what will be done and asks, and asks again before old values go out of step. Stopped at any
    moment, or killed, it goes on where it was when it is run again.

    Exit code 0: done, or waiting for what a spec says to wait for (time, approval, a window). 1: a step was refused, a
    gate will not hold as things are, or a database did not answer. 2: called wrongly, or nobody is there to ask.
    """
    from crossfade.cli.fleet import FleetRun
    from crossfade.cli.run import Run

    _refuse_without_consent(yes=yes, as_json=as_json)
    _refuse_unknown_phase(phase)
    project = open_project(ctx, strict=not names)
    of_fleets = [each for each in project.of_fleets if names is None or each.id in names]
    alone = [name for name in names or () if of_fleet(project, name) is None]
    chosen = _in_order(project, [migration_named(project, name) for name in alone])
    end_in_order_on_sigterm()
    let_by = _named_by_token(project) if oidc else None
    run = Run(project, through=phase, asks=not yes, as_json=as_json, let_by=let_by)
    if alone:
        run.named(chosen)
    elif not names and (project.migrations or not of_fleets):
        run.all_that_can()
    if not of_fleets:
        raise typer.Exit(run.exit_code)
    fleets = FleetRun(project, through=phase, asks=not yes, as_json=as_json, let_by=let_by)
    fleets.named(of_fleets) if names else fleets.all_that_can()
    raise typer.Exit(run.exit_code or fleets.exit_code)


def _named_by_token(project: Project) -> tuple[str, str]:
    from crossfade.cli.token import presented_token

    bearer = presented_token(project).bearer
    return bearer.issuer, bearer.name


def _refuse_without_consent(*, yes: bool, as_json: bool) -> None:
    if not yes and (as_json or not is_conversation()):
        raise UsageError(
            "nobody can be asked here whether to go on",
            why="there is no terminal" if not as_json else "--json is for programs",
            fix="say --yes when the plan has been reviewed",
        )


def _refuse_unknown_phase(phase: str | None) -> None:
    from crossfade.spec import did_you_mean
    from crossfade.spec.model import PHASES, STAGES

    if phase is not None and phase not in (*PHASES, *STAGES):
        raise UsageError(f"there is no phase or stage `{phase}`", fix=did_you_mean(phase, (*PHASES, *STAGES)))


def _in_order(project: Project, chosen: list[Migration]) -> list[Migration]:
    return [migration for migration in project.migrations if migration in chosen]
