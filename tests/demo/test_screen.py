"""What the demo shows: lines for everybody, and on a terminal the moment itself."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime

import pytest
from rich.console import Console

from crossfade.demo.clients import Figures, Version
from crossfade.demo.course import Course
from crossfade.demo.screen import Screen
from crossfade.execute import GateAnswered, LegPassed, LegStarted, Progress, StepFinished, StepStarted
from crossfade.gates import Answer
from crossfade.plan import Plan
from crossfade.steps.step import BACKFILL, EXPAND, VALIDATE, Relation, Walk

FILL = Walk(
    id="flights/backfill",
    leg=BACKFILL,
    database="flights",
    title="fill time_hour of flights",
    relation=Relation(schema_name="public", name="flights"),
    batch="",
    pending="",
    pending_rows="",
)


@pytest.fixture
def course() -> Course:
    return Course(Plan.model_construct(migration="times", legs=(EXPAND, BACKFILL, VALIDATE)))


def shown(course: Course, *, terminal: bool) -> str:
    """What a console has been sent after the screen was up for a moment."""
    printed = io.StringIO()
    with Screen(Console(file=printed, force_terminal=terminal, width=120, _environ={})) as screen:
        figures = Figures(statements=12, longest=0.034, running=(Version(service="flights", number=1, instances=3),))
        screen.figures = lambda: figures
        screen.show([course], course)
        screen.line("a line")
        time.sleep(0.4)
    return printed.getvalue()


def test_a_walk_is_shown_as_it_goes_on_a_terminal(course: Course) -> None:
    for notice in (LegPassed("expand", 0.1), LegStarted("backfill"), StepStarted(FILL)):
        course.note(notice)
    course.note(Progress(FILL, 0.5, 1000, 3, 2000.0, 0.5, None))
    told = shown(course, terminal=True)
    for words in ("expand ✔", "backfill …", FILL.title, "1,000 rows", "2,000 rows/s", "flights v1 ×3", "34 ms"):
        assert words in told


def test_a_log_gets_lines_and_no_picture(course: Course) -> None:
    course.note(LegStarted("backfill"))
    told = shown(course, terminal=False)
    assert "a line" in told
    assert "backfill" not in told


def test_a_finished_backfill_tells_its_rows_a_second(course: Course) -> None:
    course.note(StepFinished(FILL, 2.0, rows=5000))
    assert course.note(LegPassed("backfill", 2.5)) == "backfill done in 2.5 s, 5,000 rows at 2,500 rows/s"


def test_a_gate_that_stops_is_told_and_one_that_only_wants_time_is_not(course: Course) -> None:
    stopping = GateAnswered("before expand", "suite s", Answer("waits", "5 rows fail"))
    soaking = GateAnswered("before expand", "soak 2s", Answer("waits", "not yet", datetime.now(UTC)))
    assert course.note(stopping) == "✘ suite s, before expand: 5 rows fail"
    assert course.note(soaking) is None
    assert (course.held, course.stopped) == (0, 1)
