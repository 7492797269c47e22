"""crossfade rollback: take back what a migration has done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.failure import end_in_order_on_sigterm
from crossfade.cli.project import MigrationName, Yes, database_named, of_fleet, open_project, record_of
from crossfade.cli.terminal import ask, is_conversation
from crossfade.errors import UsageError

if TYPE_CHECKING:
    from crossfade.plan import Plan
    from crossfade.spec import Migration, Project
    from crossfade.steps.step import AnyStep


def rollback(
    ctx: typer.Context,
    name: MigrationName,
    to: Annotated[
        str | None,
        typer.Option(metavar="LEG", help="Keep this phase or stage and those before it.", show_default=False),
    ] = None,
    run_down: Annotated[
        list[str] | None,
        typer.Option(metavar="STEP", help="A `sql` that was cut off: it had an effect, so its `down` is run."),
    ] = None,
    skip_down: Annotated[
        list[str] | None,
        typer.Option(metavar="STEP", help="A `sql` that was cut off: it left nothing, so its `down` is not run."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Take a migration back, newest step first, in all its databases.

    Before archive nothing is lost: the old side was kept in step. After it, old values come back from the archive
    for as long as that is kept, and values written since then through `down`.
    """
    from crossfade.cli.telling import narrator
    from crossfade.execute import Runner
    from crossfade.execute.frozen import thaw
    from crossfade.execute.going_on import command_to_go_on
    from crossfade.telemetry import reported

    if not yes and not is_conversation():
        raise UsageError("nobody can be asked here whether to take it back", fix="say --yes")
    project = open_project(ctx)
    if (shared := of_fleet(project, name)) is not None:
        if settled_for := [*(run_down or ()), *(skip_down or ())]:
            raise UsageError(f"what {settled_for[0]} did is known of one member each", fix="name it with --member")
        raise typer.Exit(_in_fleet(project, shared, to, yes=yes))
    plan = thaw(record_of(project, name))
    settled = dict.fromkeys(run_down or (), True) | dict.fromkeys(skip_down or (), False)
    steps = _to_take_back(project, plan, to, settled)
    for step in steps:
        typer.echo(f"  {step.leg}: {step.title}: {step.undo_title}")
    if not yes and not ask(f"Take {name} back{f' to {to}' if to else ''}?"):
        typer.echo("stopped; nothing was done")
        raise typer.Exit(1)
    end_in_order_on_sigterm()
    told = narrator(as_json=False)
    with told.at_work():
        outcome = Runner(project, reported(project, told.hear)).rollback(name, to=to, settled=settled)
    if outcome.ended == "paused":
        typer.echo(f"{name} is paused on its way back: {command_to_go_on(name, 'undoing', to)} goes on")
        return
    typer.echo(f"{name} is undone{f' back to {to}; `crossfade up {name}` goes on from there' if to else ''}")


def _in_fleet(project: Project, migration: Migration, to: str | None, *, yes: bool) -> int:
    """Take it back in every member; gives the exit code."""
    from crossfade.cli.fleet import FleetRun
    from crossfade.execute.fleet import take_back

    where = f"everywhere in `{migration.head.database}`"
    if not yes and not ask(f"Take {migration.id} back{f' to {to}' if to else ''} {where}?"):
        typer.echo("stopped; nothing was done")
        return 1
    end_in_order_on_sigterm()
    told = FleetRun(project)
    if failed := take_back(project, migration, told.hear, to=to):
        typer.echo(f"{migration.id} is not taken back in {', '.join(failed)}", err=True)
        return 1
    typer.echo(f"{migration.id} is undone {where}{f' back to {to}' if to else ''}")
    return 0


def _to_take_back(project: Project, plan: Plan, to: str | None, settled: Mapping[str, bool]) -> list[AnyStep]:
    """The steps with an effect that were begun after the leg `to`, newest first.

    Raises UsageError when there is no such leg, Blocked when they cannot be taken back, InDoubt when it is
    not known what one did and `settled` does not say.
    """
    from crossfade.execute import reading
    from crossfade.execute.successors import refuse_while_stood_on
    from crossfade.execute.taking_back import find_settled, refuse_to_take_back
    from crossfade.ledger import Ledger
    from crossfade.steps.step import Check

    kept = plan.legs[-1] if to == "contract" else plan.leg(to) if to is not None else None
    if to is not None and kept is None:
        raise UsageError(
            f"{plan.migration} has no phase or stage {to}", fix=f"it has: {', '.join(map(str, plan.legs))}"
        )
    # Nobody is asked whether to do what would then be refused.
    refuse_while_stood_on(project, plan)
    find_settled(plan, settled)
    begun: set[tuple[str, str]] = set()
    for name in plan.databases:
        with reading(database_named(project, name), "crossfade rollback") as connection:
            refuse_to_take_back(plan, name, connection, kept, settled)
            steps = Ledger(connection).steps(plan.migration)
            begun |= {(name, step) for step, record in steps.items() if record.state != "undone"}
    return [
        step
        for step in reversed(plan.steps)
        if (step.database, step.id) in begun
        and not isinstance(step, Check)
        and (kept is None or step.leg.order > kept.order)
    ]
