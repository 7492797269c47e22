"""What is seen while it runs: lines that stay, and on a terminal a picture of the moment below them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from crossfade.demo.clients import Figures, instances
from crossfade.demo.course import Course
from crossfade.report.measures import said_seconds

_A_SECOND = 6  # pictures
_COLOURS = {"✔": "green", "✘": "red"}


class Screen:
    """Prints lines with the time since it was made; within its context, a terminal also shows the moment."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._courses: Sequence[Course] = ()
        self._now: Course | None = None
        self._busy: Spinner | None = None
        self.figures: Callable[[], Figures] | None = None
        self._began = time.monotonic()
        self._live: Live | None = None
        # A line and a picture that are written at once would leave parts of the picture between the lines.
        self._writing = threading.Lock()
        self._left = threading.Event()
        self._painter: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, get_renderable=self._picture, auto_refresh=False, transient=True)
            self._live.start()
            self._left.clear()
            self._painter = threading.Thread(target=self._paint, args=(self._live,), name="screen", daemon=True)
            self._painter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None and self._painter is not None:
            self._left.set()
            self._painter.join()
            self._live.stop()
            self._live = None

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def show(self, courses: Sequence[Course], now: Course) -> None:
        """Picture these; `now` is the one at hand."""
        self._courses, self._now = courses, now

    @contextmanager
    def busy(self, text: str) -> Generator[None]:
        """While this lasts, the picture says so."""
        self._busy = Spinner("dots", Text(text))
        try:
            yield
        finally:
            self._busy = None

    def headline(self, text: str) -> None:
        """A line with which something of its own begins."""
        self._print(Text.assemble("\n", (self._clock(), "dim"), (text, "bold")))

    def line(self, text: str) -> None:
        """A line that stays; a gate's answer in its colour."""
        words = Table.grid(padding=(0, 0))
        words.add_column(width=len(self._clock()))
        words.add_column()
        words.add_row(Text(self._clock(), "dim"), Text(text, _COLOURS.get(text[:1], "")))
        self._print(words)

    def _print(self, what: RenderableType) -> None:
        with self._writing:
            self.console.print(what)

    def _clock(self) -> str:
        return f"{self.seconds:6.1f} s  "

    # --- the picture of the moment -------------------------------------------------------------------

    def _paint(self, live: Live) -> None:
        while not self._left.wait(1 / _A_SECOND):
            with self._writing:
                live.refresh()

    def _picture(self) -> RenderableType:
        rows: list[RenderableType] = [Text("")]
        for course in self._courses:
            rows.append(_legs(course))
            if course is self._now and not course.complete:
                rows.append(_at_hand(course))
        if self._busy is not None:
            rows.append(Padding(self._busy, (0, 2)))
        if self.figures is not None:
            rows.append(_clients(self.figures()))
        return Group(*rows)


def _legs(course: Course) -> Text:
    line = Text("  ", no_wrap=True, overflow="ellipsis")
    line.append("✔ " if course.complete else "■ " if course.waits_for else "▶ ", _style(course))
    line.append(f"{course.plan.migration:<28}")
    for leg in map(str, course.plan.legs):
        if leg in course.passed:
            line.append(f" {leg} ✔", "green")
        elif leg == course.leg:
            line.append(f" {leg} …", "bold yellow")
        else:
            line.append(f" {leg}", "dim")
    return line


def _style(course: Course) -> str:
    return "green" if course.complete else "red" if course.waits_for else "yellow"


def _at_hand(course: Course) -> RenderableType:
    if course.waits_for:
        return Text(f"      waits for {course.waits_for}", "red")
    if course.progress is None:
        return Text(f"      {course.doing or 'asks its gates'}", "dim")
    progress = course.progress
    row = Table.grid(padding=(0, 2))
    row.add_column(no_wrap=True, overflow="ellipsis")
    row.add_column()
    row.add_column(no_wrap=True)
    told = f"{progress.share:4.0%}  {progress.rows:,} rows  {progress.rate:,.0f} rows/s"
    row.add_row(
        Text(f"      {course.doing}"),
        ProgressBar(total=1.0, completed=progress.share, width=24),
        Text(told if progress.throttled is None else f"{told}  waits: {progress.throttled}"),
    )
    return row


def _clients(figures: Figures) -> Text:
    failed = sum(figures.failed.values())
    return Text.assemble(
        ("  clients  ", "bold"),
        f"{figures.statements:,} statements · longest wait {said_seconds(figures.longest)} · ",
        (f"{failed} failed", "bold red" if failed else "green"),
        f" · {instances(figures.running)}",
    )
