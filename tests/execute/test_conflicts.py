"""Rows that cannot be written: set aside by key, never in an application's way, tried again when they are mended."""

from __future__ import annotations

import time

import pytest
from tests.scene import Scene

from crossfade.execute import Notice, Runner, StepFinished, StepRefused
from crossfade.steps.step import Walk


def test_rows_that_update_rows_cannot_set_are_told_and_set_when_they_are_mended(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, price text, cents int)")
    scene.sql("INSERT INTO items SELECT i, i::text FROM generate_series(1, 3000) AS i")
    scene.sql("UPDATE items SET price = 'dear' WHERE id IN (7, 1500)")
    scene.spec("changes: [{update_rows: {table: items, set: {cents: 'price::int * 100'}, where: cents IS NULL}}]\n")

    with pytest.raises(StepRefused, match="2 rows that could not be set"):
        scene.up()
    assert scene.one("SELECT count(cents) FROM items") == 2998
    assert [conflict.key for conflict in scene.ledger().conflicts("m")] == [{"id": 7}, {"id": 1500}]

    with pytest.raises(StepRefused, match="2 rows that could not be set"):
        scene.up()

    scene.sql("UPDATE items SET price = '9' WHERE id IN (7, 1500)")
    assert scene.up().ended == "complete"
    assert scene.sql("SELECT cents FROM items WHERE id IN (7, 1500)") == [(900,), (900,)]
    assert scene.ledger().conflicts("m") == ()


def test_a_row_in_conflict_is_tried_again_when_what_up_reads_elsewhere_is_mended(scene: Scene) -> None:
    scene.sql("CREATE TABLE rates (code text PRIMARY KEY, rate int); INSERT INTO rates VALUES ('a', 1)")
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text); INSERT INTO items VALUES (1, 'a'), (2, 'b')")
    scene.sql(
        """
CREATE FUNCTION rate_of(wanted text) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE found int;
BEGIN
  SELECT rate INTO STRICT found FROM rates WHERE code = wanted;
  RETURN found;
END $$"""
    )
    scene.spec("changes: [{add_column: {table: items, column: rate, type: int, up: rate_of(code)}}]\n")
    with pytest.raises(StepRefused, match="1 rows in conflict"):
        scene.up()

    scene.sql("INSERT INTO rates VALUES ('b', 2)")

    assert scene.up().ended == "complete"
    assert scene.sql("SELECT id, rate FROM items ORDER BY id") == [(1, 1), (2, 2)]


@pytest.mark.parametrize("rows", [11, 50_000])
def test_more_conflicts_than_the_spec_allows_stop_the_walk(scene: Scene, rows: int) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text)")
    scene.sql(f"INSERT INTO items SELECT i, 'x' FROM generate_series(1, {rows}) AS i")
    scene.spec(
        """
changes: [{add_column: {table: items, column: number, type: int, up: "code::int"}}]
backfill: {max_conflicts: 10, workers: 1, target: 10ms}
"""
    )

    with pytest.raises(StepRefused, match="than the 10 the spec allows"):
        scene.up()

    assert scene.one("SELECT count(*) FROM items WHERE number IS NOT NULL") == 0


def test_a_table_without_a_key_counts_its_conflicts_and_settles_them(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (code text)")
    scene.sql("INSERT INTO items VALUES ('1'), ('x'), ('3')")
    scene.spec('changes: [{add_column: {table: items, column: number, type: int, up: "code::int"}}]\n')
    with pytest.raises(StepRefused, match="1 rows in conflict"):
        scene.up()

    scene.sql("UPDATE items SET code = '2' WHERE code = 'x'")

    assert scene.up().ended == "complete"
    assert scene.sql("SELECT number FROM items ORDER BY 1") == [(1,), (2,), (3,)]


def test_a_note_taken_back_by_hand_does_not_end_the_backfill_of_a_row_that_was_not_set(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, price text, cents int)")
    scene.sql("INSERT INTO items VALUES (1, '1'), (2, 'dear')")
    scene.spec("changes: [{update_rows: {table: items, set: {cents: 'price::int * 100'}, where: cents IS NULL}}]\n")
    with pytest.raises(StepRefused, match="1 rows that could not be set"):
        scene.up()
    taken_back = "SELECT crossfade.resolve_conflict('m', 'public.items', '{\"id\": 2}')"

    scene.sql(taken_back)
    with pytest.raises(StepRefused, match="1 rows that could not be set"):
        scene.up()

    scene.sql("UPDATE items SET price = '2' WHERE id = 2")
    scene.sql(taken_back)
    assert scene.up().ended == "complete"
    assert scene.one("SELECT cents FROM items WHERE id = 2") == 200


def test_an_applications_open_transaction_over_a_row_in_conflict_keeps_neither_runner_nor_others_waiting(
    scene: Scene,
) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text)")
    scene.sql("INSERT INTO items VALUES (1, 'x'), (2, 'y')")
    scene.spec('changes: [{add_column: {table: items, column: number, type: int, up: "code::int"}}]\n')
    with pytest.raises(StepRefused, match="2 rows in conflict"):
        scene.up()
    with scene.connect() as holder, scene.connect() as other:
        holder.execute("BEGIN; UPDATE items SET code = 'z' WHERE id = 2")
        other.execute("SET lock_timeout = '200ms'")

        began = time.monotonic()
        with pytest.raises(StepRefused, match="2 rows in conflict"):
            scene.up()
        assert time.monotonic() - began < 5
        other.execute("UPDATE items SET code = '1' WHERE id = 1")

        holder.execute("UPDATE items SET code = '2' WHERE id = 2; COMMIT")
    assert scene.up().ended == "complete"


def test_a_note_that_somebody_holds_by_hand_keeps_the_runner_waiting_for_no_longer_than_lock_timeout(
    scene: Scene,
) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text); INSERT INTO items VALUES (1, 'x')")
    scene.spec(
        'changes: [{add_column: {table: items, column: number, type: int, up: "code::int"}}]\nlocks: {timeout: 200ms}\n'
    )
    with pytest.raises(StepRefused, match="1 rows in conflict"):
        scene.up()
    with scene.connect() as holder:
        holder.execute("BEGIN; SELECT crossfade.resolve_conflict('m', 'public.items', '{\"id\": 1}')")

        began = time.monotonic()
        with pytest.raises(StepRefused, match="1 rows in conflict"):
            scene.up()

    assert time.monotonic() - began < 5


def test_what_the_old_column_would_cut_off_does_not_agree_with_what_is_left_of_it(scene: Scene) -> None:
    scene.sql("CREATE TABLE short (id int PRIMARY KEY, code varchar(3), note text)")
    scene.sql("INSERT INTO short VALUES (1, 'abc')")
    scene.spec("changes: [{add_column: {table: short, column: label, type: text, up: code, down: {code: label}}}]\n")
    scene.up(through="validate")
    scene.sql("UPDATE short SET label = 'abcdef'")

    scene.sql("UPDATE short SET note = 'other'")

    assert scene.one("SELECT count(*) FROM crossfade.conflict WHERE resolved_at IS NULL") == 1


TO_NUMBER = 'changes: [{add_column: {table: items, column: number, type: int, up: "code::int"}}]\n'


def test_rows_beyond_the_limit_that_were_deleted_stop_the_walk_no_more(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text)")
    scene.sql("INSERT INTO items SELECT i, CASE WHEN i <= 10 THEN 'x' ELSE '1' END FROM generate_series(1, 100) AS i")
    scene.spec(TO_NUMBER + "backfill: {max_conflicts: 5}\n")
    with pytest.raises(StepRefused, match="than the 5 the spec allows"):
        scene.up()

    scene.sql("DELETE FROM items WHERE id <= 10")

    assert scene.up().ended == "complete"


def test_rows_of_another_table_that_were_deleted_stop_the_walk_no_more(scene: Scene) -> None:
    for table in ("items", "others"):
        scene.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, code text)")
        scene.sql(f"INSERT INTO {table} SELECT i, 'x' FROM generate_series(1, 4) AS i")
    other = '{add_column: {table: others, column: number, type: int, up: "code::int"}}'
    scene.spec(TO_NUMBER.replace("]", f", {other}]") + "backfill: {max_conflicts: 5}\n")
    with pytest.raises(StepRefused, match="than the 5 the spec allows"):
        scene.up()

    scene.sql("DELETE FROM items")
    scene.sql("DELETE FROM others")

    assert scene.up().ended == "complete"


def test_a_row_without_a_key_counts_once_however_often_it_is_written(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (n int, code text); INSERT INTO items SELECT i, i FROM generate_series(1, 10) AS i")
    scene.spec(TO_NUMBER + "backfill: {max_conflicts: 5}\n")
    scene.up(through="expand")
    for attempt in range(10):
        scene.sql(f"UPDATE items SET code = 'x{attempt}' WHERE n <= 2")

    scene.up(through="backfill")
    assert len(scene.ledger().conflicts("m")) == 2

    scene.sql("UPDATE items SET code = n")
    assert scene.up().ended == "complete"


def test_nobody_waits_for_a_row_in_conflict_while_the_table_is_scanned_for_more(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text, filler text)")
    scene.sql("INSERT INTO items SELECT i, 'x', repeat('x', 500) FROM generate_series(1, 3000) AS i")
    scene.spec(TO_NUMBER + "backfill: {max_conflicts: 5000}\n")
    scene.up(through="backfill")
    (step,) = (step for step in scene.runner().plan(scene.migration()).steps if isinstance(step, Walk))

    again, _ = step.settle
    plan = "\n".join(line for (line,) in scene.sql(f"EXPLAIN (COSTS OFF) {again}"))

    assert plan.count("Seq Scan on items f") == 1
    assert plan.count("Seq Scan") == 1, plan


def test_contract_is_refused_for_a_row_whose_sides_one_statement_wrote_unlike_each_other_since_they_were_compared(
    scene: Scene,
) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text)")
    scene.sql("INSERT INTO items SELECT i, 'n' || i FROM generate_series(1, 50) AS i")
    scene.spec("changes: [{rename_column: {table: items, from: name, to: full_name}}]\n")
    scene.up(through="validate")

    def write_both(notice: Notice) -> None:
        if isinstance(notice, StepFinished) and "parity" in notice.step.id:
            scene.sql("UPDATE items SET name = 'old', full_name = 'new' WHERE id = 1")

    with pytest.raises(StepRefused, match=r"a row of public\.items came into conflict since it was checked"):
        Runner(scene.project(), write_both).advance(scene.migration())

    assert scene.sql("SELECT name, full_name FROM items WHERE id = 1") == [("old", "new")]
    scene.sql("UPDATE items SET name = 'mended' WHERE id = 1")
    assert scene.up().ended == "complete"
    assert scene.one("SELECT full_name FROM items WHERE id = 1") == "mended"
