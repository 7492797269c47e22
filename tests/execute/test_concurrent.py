"""Indexes built and dropped concurrently beside transactions that stay open: told, kept to the budget, and paused."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from tests.scene import Scene

from crossfade.execute import HeldUp, LockBudgetExceeded, Notice, Runner, pause, resume

BUILD = """
changes: [{{create_index: {{table: items, name: items_n, columns: [n]}}}}]
locks: {{timeout: 200ms, budget: {}}}
"""
DROP = """
changes: [{drop_index: {index: items_n}}]
locks: {timeout: 200ms, budget: 1s}
"""
INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('items_n')"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, n int)")
    scene.sql("INSERT INTO items SELECT i, i FROM generate_series(1, 100) AS i")
    return scene


@contextmanager
def written_by_a_report(scene: Scene, *, for_seconds: float = 60) -> Generator[None]:
    """A transaction that has written a row, and stays open."""
    with scene.connect() as report:
        report.execute("SET application_name = 'nightly report'")
        report.execute("BEGIN")
        report.execute("UPDATE items SET n = n WHERE id = 1")
        ends = threading.Timer(for_seconds, lambda: report.execute("ROLLBACK"))
        ends.start()
        yield
        ends.cancel()


def test_a_build_says_whom_it_waits_for_while_it_does(items: Scene) -> None:
    items.spec(BUILD.format("30s"))

    with written_by_a_report(items, for_seconds=3.5):
        assert items.up().ended == "complete"

    first = next(iter(items.seen(HeldUp)))
    assert [blocker.application for blocker in first.blockers] == ["nightly report"]
    held = [event.body for event in items.ledger().events("m") if event.kind == "held up"]
    assert held[0]["blockers"][0]["application"] == "nightly report"
    assert items.sql(INDEX) == [(True,)]


def test_a_build_that_has_waited_for_the_budget_ends_and_leaves_no_index(items: Scene) -> None:
    items.spec(BUILD.format("1s"))
    with items.connect() as reader:
        reader.execute("SET application_name = 'nightly report'")
        # An old snapshot in another table: the build waits for it last of all, the drop of what is left does not.
        reader.execute("CREATE TABLE other ()")
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT FROM other")
        began = time.monotonic()

        with pytest.raises(LockBudgetExceeded, match="nightly report"):
            items.up()

    assert time.monotonic() - began < 6
    assert items.sql(INDEX) == []


def test_what_a_build_had_to_leave_is_replaced_by_the_next_run(items: Scene) -> None:
    items.spec(BUILD.format("1s"))
    with written_by_a_report(items), pytest.raises(LockBudgetExceeded, match="nightly report"):
        items.up()
    assert items.sql(INDEX) == [(False,)]

    assert items.up().ended == "complete"

    assert items.sql(INDEX) == [(True,)]


def test_a_drop_that_has_waited_for_the_budget_ends_and_is_finished_by_the_next_run(items: Scene) -> None:
    items.sql("CREATE INDEX items_n ON items (n)")
    items.spec(DROP)
    with written_by_a_report(items), pytest.raises(LockBudgetExceeded, match="nightly report"):
        items.up()

    assert items.up().ended == "complete"

    assert items.sql(INDEX) == []


def test_a_build_stops_when_it_is_paused_and_begins_again_when_it_goes_on(items: Scene) -> None:
    items.spec(BUILD.format("60s"))

    def listen(notice: Notice) -> None:
        if isinstance(notice, HeldUp):
            pause(items.project(), "m")

    with written_by_a_report(items):
        assert Runner(items.project(), listen).advance(items.migration()).ended == "paused"

    resume(items.project(), "m")
    assert items.up().ended == "complete"
    assert items.sql(INDEX) == [(True,)]
