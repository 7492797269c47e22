"""What has been done is written down in the transaction that does it, and read back as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.ledger.conftest import start

from crossfade.ledger import Ledger


def kinds(ledger: Ledger) -> list[str]:
    return [event.kind for event in ledger.events("m")]


def test_a_migration_is_frozen_when_it_starts(started: Ledger) -> None:
    start(started, plan="plan two")

    record = started.migration("m")

    assert record is not None
    assert (record.state, record.plan, record.plan_digest, record.title) == ("running", {"a": 1}, "plan one", "A title")
    assert kinds(started) == ["migration started"]


@pytest.mark.parametrize("state", ["complete", "undoing", "running"])
def test_a_migration_that_was_not_undone_does_not_start_again(started: Ledger, state: str) -> None:
    started.set_state("m", state)  # pyright: ignore[reportArgumentType]

    start(started, plan="plan two")

    record = started.migration("m")
    assert record is not None
    assert (record.state, record.plan_digest) == (state, "plan one")


def test_a_migration_that_was_undone_starts_anew_with_its_new_plan(started: Ledger) -> None:
    started.set_state("m", "undone")

    start(started, plan="plan two")

    record = started.migration("m")
    assert record is not None
    assert (record.state, record.plan_digest, record.finished_at) == ("running", "plan two", None)
    assert kinds(started) == ["migration started", "migration undone", "migration started"]


def test_every_change_of_state_is_one_event(started: Ledger) -> None:
    for _ in range(2):
        started.set_state("m", "undoing", undo_to="expand")
    started.set_state("m", "running")

    assert kinds(started) == ["migration started", "migration undoing", "migration running"]
    assert [*started.events("m")][1].body == {"to": "expand"}


def test_a_pause_says_who_and_keeps_its_first_moment(started: Ledger) -> None:
    started.pause("m")
    first = started.migration("m")
    started.pause("m")
    second = started.migration("m")

    assert first is not None
    assert second is not None
    assert (second.paused_by, second.paused_at) == (started.connection.info.user, first.paused_at)
    assert started.paused("m")

    started.resume("m")
    assert not started.paused("m")


def test_migrations_are_listed_oldest_first(started: Ledger) -> None:
    start(started, "a")

    assert [record.id for record in started.migrations()] == ["m", "a"]


def test_a_leg_is_started_finished_and_passed_once(started: Ledger) -> None:
    for _ in range(2):
        started.leg_started("m", "expand")
        started.leg_finished("m", "expand")
        started.leg_passed("m", "expand")

    leg = started.legs("m")["expand"]
    assert isinstance(leg.finished_at, datetime)
    assert isinstance(leg.passed_at, datetime)
    assert kinds(started)[1:] == ["expand started", "expand finished", "expand passed"]


def test_a_leg_that_is_undone_is_forgotten(started: Ledger) -> None:
    started.leg_started("m", "expand")
    for _ in range(2):
        started.leg_undone("m", "expand")

    assert started.legs("m") == {}
    assert kinds(started)[-2:] == ["expand started", "expand undone"]


def test_a_step_counts_its_attempts_and_keeps_its_rows_and_detail(started: Ledger) -> None:
    started.step_running("m", "one", "expand")
    started.step_running("m", "one", "expand")
    started.step_done("m", "one", rows=7, detail={"batches": 2})

    step = started.steps("m")["one"]
    assert (step.state, step.attempts, step.rows, step.detail, step.leg) == ("done", 2, 7, {"batches": 2}, "expand")


def test_a_step_and_what_it_does_are_committed_together(started: Ledger) -> None:
    with started.connection.transaction(force_rollback=True):
        started.connection.execute("CREATE TABLE work ()")
        started.step_running("m", "one", "expand")
        started.step_done("m", "one")

    assert started.steps("m") == {}
    assert kinds(started) == ["migration started"]


def test_an_undone_step_and_its_undo_can_be_done_again(started: Ledger) -> None:
    for step in ("one", "one/undo"):
        started.step_running("m", step, "expand")
        started.step_done("m", step)
    started.connection.execute(
        "INSERT INTO crossfade.progress VALUES ('m', 'one', 1, 'public', 't', 1, 0, 5, 10, 50, 3),"
        " ('m', 'two', 1, 'public', 't', 1, 0, 5, 10, 50, 3)"
    )

    started.step_undone("m", "one", ("one/undo",))

    assert {step: record.state for step, record in started.steps("m").items()} == {"one": "undone"}
    assert list(started.progress("m")) == ["two"]


def test_progress_sums_the_units_of_a_walk(started: Ledger) -> None:
    started.connection.execute(
        "INSERT INTO crossfade.progress VALUES ('m', 'one', 1, 'public', 't', 1, 0, 10, 10, 70, 3),"
        " ('m', 'one', 2, 'public', 't', 1, 10, 15, 20, 30, 2)"
    )

    progress = started.progress("m")["one"]

    assert (progress.blocks_done, progress.blocks, progress.rows, progress.batches) == (15, 20, 100, 5)
    assert progress.share == 0.75


def test_a_conflict_is_noted_once_a_row_and_opened_again_when_it_comes_back(started: Ledger) -> None:
    note = "SELECT crossfade.note_conflict('m', 'public.t', '{\"id\": 1}', %s)"
    started.connection.execute(note, ("22P02",))
    started.connection.execute(note, ("22003",))
    (found,) = started.conflicts("m")
    assert (found.relation, found.key, found.sqlstate) == ("public.t", {"id": 1}, "22003")

    started.connection.execute("SELECT crossfade.resolve_conflict('m', 'public.t', '{\"id\": 1}')")
    assert started.conflicts("m") == ()

    started.connection.execute(note, ("22P02",))
    assert len(started.conflicts("m")) == 1


def test_rows_without_a_key_are_noted_each(started: Ledger) -> None:
    for _ in range(2):
        started.connection.execute("SELECT crossfade.note_conflict('m', 'public.t', NULL, '22P02')")

    assert [conflict.key for conflict in started.conflicts("m")] == [None, None]


def test_a_gate_keeps_its_latest_answer_and_an_event_for_every_other_state(started: Ledger) -> None:
    def answer(state: str, reason: str) -> None:
        started.record_gate(
            "m", "before contract", "soak", state=state, reason=reason, holds_at=None, evidence={"n": 1}
        )

    for state, reason in (("waits", "2 h left"), ("waits", "1 h left"), ("holds", "over")):
        answer(state, reason)

    (gate,) = started.gates("m")
    assert (gate.state, gate.reason, gate.evidence) == ("holds", "over", {"n": 1})
    assert kinds(started)[1:] == ["gate waits", "gate holds"]


def test_a_gate_whose_time_moves_has_an_event_that_tells_when_it_may_hold(started: Ledger) -> None:
    first = datetime(2026, 1, 5, 8, tzinfo=UTC)
    for holds_at, reason in ((first, "3h left"), (first, "2h left"), (first + timedelta(days=1), "frozen")):
        started.record_gate("m", "p", "g", state="waits", reason=reason, holds_at=holds_at, evidence={"n": 1})

    *_, one, two = started.events("m")
    assert kinds(started)[1:] == ["gate waits", "gate waits"]
    assert (one.body["reason"], two.body["holds_at"]) == ("3h left", "2026-01-06T08:00:00+00:00")
    assert two.body["evidence"] == {"n": 1}


def test_a_gate_says_since_when_it_answers_so(started: Ledger) -> None:
    def since(state: str) -> datetime:
        started.record_gate("m", "p", "g", state=state, reason="", holds_at=None, evidence={})
        return started.gates("m")[0].since

    first, again, other = since("waits"), since("waits"), since("holds")

    assert first == again
    assert other > first


def test_a_conflict_among_thousands_is_resolved_without_reading_the_others(started: Ledger) -> None:
    note = "SELECT crossfade.note_conflict('m', 'public.t', jsonb_build_object('id', i), '23514')"
    read = (
        "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_all_tables WHERE relid = 'crossfade.conflict'::regclass"
    )
    started.connection.execute(f"{note} FROM generate_series(1, 2000) AS i".encode())

    with started.connection.transaction():
        started.connection.execute("SELECT crossfade.resolve_conflict('m', 'public.t', '{\"id\": 7}')")
        rows = started.connection.execute(read.encode()).fetchone()

    assert rows is not None
    assert rows[0] < 10
