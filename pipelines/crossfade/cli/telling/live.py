"""Live on a terminal: a line for what is done, a bar for each walk, and who stands in the way while we wait."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from crossfade.cli.failure import print_problems
from crossfade.cli.telling import wording
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
from crossfade.steps.step import Copy, Walk

_TITLE, _BAR = 60, 20  # characters
_ENDED = {"complete": "bold green", "waiting": "yellow", "paused": "magenta"}
_ANSWERED = {"holds": "green", "waits": "yellow", "never": "bold red"}


class Live:
    """Tells on `console`, which is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = self._new_bars()
        self._tasks: dict[str, TaskID] = {}
        self._between: TaskID | None = None

    def begun(self, migration: Migration) -> None:
        self._console.print(Text.assemble((migration.id, "bold"), f": {migration.head.title}"))

    def at_work(self) -> AbstractContextManager[object]:
        self._bars, self._tasks = self._new_bars(), {}
        # Gates may take seconds to answer, and a person wants to see that something goes on.
        self._between = self._bars.add_task("asking what comes next", total=None, told="")
        return self._bars

    def hear(self, notice: Notice) -> None:
        match notice:
            case LegStarted():
                self._line(wording.leg(notice), "bold cyan", indent=1)
            case LegPassed() | LegUndone():
                self._line(wording.leg(notice), "dim", indent=1)
            case StepStarted():
                self._show_between(visible=False)
                self._begin(notice)
            case StepFinished():
                if (task := self._tasks.pop(notice.step.id, None)) is not None:
                    self._bars.remove_task(task)
                self._show_between(visible=True)
                self._line(f"✓ {wording.finished(notice)}", "green", indent=2)
            case Progress():
                if (task := self._tasks.get(notice.step.id)) is not None:
                    self._bars.update(task, completed=notice.share, told=wording.walking(notice))
            case Retrying():
                for line in wording.retrying(notice):
                    self._line(line, "yellow", indent=2)
            case HeldUp():
                for line in wording.held_up(notice):
                    self._line(line, "yellow", indent=2)
            case Reconnecting():
                self._line(wording.reconnecting(notice), "yellow", indent=1)
            case GateAnswered():
                self._line(wording.answered(notice), _ANSWERED[notice.answer.state], indent=1)
            case RunStarted() | RunEnded():
                pass  # who began it tells both

    def ended(self, outcome: Outcome) -> None:
        for line in wording.ended(outcome):
            self._line(line, _ENDED.get(outcome.ended, ""), indent=0)

    def refused(self, migration: Migration, error: CrossfadeError) -> None:
        self._line(f"{migration.id} was refused:", "bold red", indent=0)
        print_problems(error.problems, self._console)

    def left_out(self, migration: Migration, why: str) -> None:
        self._line(f"{migration.id} {why}", "dim", indent=0)

    def _begin(self, notice: StepStarted) -> None:
        # A step that is tried again after a lost connection has its bar already.
        if notice.step.id not in self._tasks:
            total = 1.0 if isinstance(notice.step, Walk | Copy) else None
            self._tasks[notice.step.id] = self._bars.add_task(notice.step.title, total=total, told="")

    def _show_between(self, *, visible: bool) -> None:
        if self._between is not None:
            self._bars.update(self._between, visible=visible)

    def _line(self, words: str, style: str, *, indent: int) -> None:
        self._console.print(Text(f"{'  ' * indent}{words}", style=style))

    def _new_bars(self) -> Bars:
        return Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=_TITLE)),
            BarColumn(bar_width=_BAR),
            TextColumn("{task.fields[told]}", markup=False, table_column=Column(no_wrap=True)),
            console=self._console,
            transient=True,
        )
