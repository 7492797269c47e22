"""Plain lines, for a log: what happened, and of long walks how far they are now and then."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext

import typer

from crossfade.cli.failure import print_problems
from crossfade.cli.telling import wording
from crossfade.cli.terminal import err
from crossfade.errors import CrossfadeError
from crossfade.execute import (
    GateAnswered,
    HeldUp,
    LegPassed,
    LegStarted,
    LegUndone,
    Notice,
    Outcome,
    Progress,
    Reconnecting,
    Retrying,
    RunEnded,
    RunStarted,
    StepFinished,
    StepStarted,
)
from crossfade.spec import Migration

_EVERY = 10.0  # seconds between two lines of a walk


class Lines:
    """Tells in lines on standard output; refusals go to standard error."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def begun(self, migration: Migration) -> None:
        typer.echo(f"{migration.id}: {migration.head.title}")

    def at_work(self) -> AbstractContextManager[object]:
        return nullcontext()

    def hear(self, notice: Notice) -> None:
        match notice:
            case LegStarted() | LegPassed() | LegUndone():
                typer.echo(f"  {wording.leg(notice)}")
            case StepStarted():
                self._told = time.monotonic()
            case StepFinished():
                typer.echo(f"    {wording.finished(notice)}")
            case Progress():
                if time.monotonic() - self._told >= _EVERY:
                    self._told = time.monotonic()
                    typer.echo(f"    {notice.step.title}: {notice.share:.0%} · {wording.walking(notice)}")
            case Retrying():
                for line in wording.retrying(notice):
                    typer.echo(f"    {line}")
            case HeldUp():
                for line in wording.held_up(notice):
                    typer.echo(f"    {line}")
            case Reconnecting():
                typer.echo(f"  {wording.reconnecting(notice)}")
            case GateAnswered():
                typer.echo(f"  {wording.answered(notice)}")
            case RunStarted() | RunEnded():
                pass  # who began it tells both

    def ended(self, outcome: Outcome) -> None:
        for line in wording.ended(outcome):
            typer.echo(line)

    def refused(self, migration: Migration, error: CrossfadeError) -> None:
        typer.echo(f"{migration.id} was refused:", err=True)
        print_problems(error.problems, err())

    def left_out(self, migration: Migration, why: str) -> None:
        typer.echo(f"{migration.id} {why}")
