"""change_column with strategy swap, under writers of both versions."""

from __future__ import annotations

import random
import threading
from typing import Any

import psycopg
import pytest
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import LockBudgetExceeded, Progress, StepFinished

CODES = """
CREATE TABLE codes (id bigint PRIMARY KEY, code text NOT NULL, note text);
CREATE INDEX codes_code ON codes (code);
INSERT INTO codes SELECT i, lpad((i % 5000)::text, 6, '0'), 'n' FROM generate_series(1, 20000) AS i
"""
TO_INTEGER = """
changes:
  - change_column: {table: codes, column: code, to: {type: integer}, up: "code::integer", down: "code::text"}
"""


def test_a_swap_changes_the_type_and_keeps_name_rows_index_and_not_null(scene: Scene) -> None:
    scene.sql(CODES)
    scene.spec(TO_INTEGER)

    assert scene.up().ended == "complete"

    assert scene.columns("codes") == ["id", "note", "code"]
    assert scene.sql("SELECT count(*), sum(code), pg_typeof(min(code))::text FROM codes") == [
        (20000, 49990000, "integer")
    ]
    assert "CREATE INDEX codes_code ON public.codes USING btree (code)" in scene.schema()
    assert "code integer NOT NULL" in scene.schema()
    assert scene.own_objects() == []


def test_no_statement_fails_and_no_write_is_lost_while_old_and_new_versions_write_through_a_swap(scene: Scene) -> None:
    scene.sql(CODES)
    scene.spec(TO_INTEGER)
    written: dict[int, int] = {}
    lock = threading.Lock()

    def write(app: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        # As a driver sends untyped parameters, the same text suits the old and the new type.
        value = dice.randrange(100000)
        if dice.random() < 0.5:
            key = 1_000_000 * (number + 1) + len(written) + dice.randrange(10**5) * 10**7
            app.execute("INSERT INTO codes (id, code) VALUES (%s, %s) ON CONFLICT DO NOTHING", (key, str(value)))
            with lock:
                written.setdefault(key, value)
        else:
            key = dice.randrange(number * 4000 + 1, (number + 1) * 4000)
            app.execute("UPDATE codes SET code = %s WHERE id = %s", (str(value), key))
            with lock:
                written[key] = value

    with Writers(scene.connect, write, write, write, write, write) as clients:
        outcome = scene.up()

    assert outcome.ended == "complete"
    assert clients.failures == []
    assert clients.statements > 50
    found = dict(scene.sql("SELECT id, code FROM codes"))
    assert {key: found.get(key) for key in written} == written
    untouched = {key: key % 5000 for key in range(1, 20001) if key not in written}
    assert {key: found[key] for key in untouched} == untouched


def test_old_values_stay_byte_for_byte_when_the_swap_is_undone_at_any_stage(scene: Scene) -> None:
    scene.sql(CODES)
    scene.spec(TO_INTEGER)
    before = scene.schema(), scene.sql("SELECT * FROM codes ORDER BY id")

    for leg in ("expand", "backfill", "validate", "cutover", "archive"):
        scene.up(through=leg)
        scene.rollback()

        assert scene.schema() == before[0], leg
        assert scene.sql("SELECT * FROM codes ORDER BY id") == before[1], leg


def test_what_the_new_version_wrote_after_cutover_is_there_when_the_swap_is_undone(scene: Scene) -> None:
    scene.sql(CODES)
    scene.spec(TO_INTEGER)
    scene.up(through="cutover")

    scene.sql("UPDATE codes SET code = 7 WHERE id = 1")
    scene.sql("UPDATE codes SET note = 'new' WHERE id = 2")
    scene.sql("INSERT INTO codes (id, code) VALUES (90001, 42)")
    scene.rollback()

    assert scene.sql("SELECT id, code FROM codes WHERE id IN (1, 2, 90001) ORDER BY id") == [
        (1, "7"),
        (2, "000002"),
        (90001, "42"),
    ]


def test_restore_after_drop_brings_back_what_existed_then_and_maps_what_was_written_since(scene: Scene) -> None:
    scene.sql(CODES)
    scene.spec(TO_INTEGER)
    scene.up()
    scene.sql("UPDATE codes SET code = 7 WHERE id = 1")
    scene.sql("INSERT INTO codes (id, code) VALUES (90001, 42)")

    scene.rollback()

    assert scene.sql("SELECT id, code FROM codes WHERE id IN (1, 2, 3, 90001) ORDER BY id") == [
        (1, "7"),
        (2, "000002"),
        (3, "000003"),
        (90001, "42"),
    ]
    assert "code text NOT NULL" in scene.schema()
    assert "CREATE INDEX codes_code ON public.codes USING btree (code)" in scene.schema()


def test_a_value_that_up_cannot_convert_never_fails_the_old_version_and_contract_waits_for_it(scene: Scene) -> None:
    scene.sql("CREATE TABLE codes (id bigint PRIMARY KEY, code text)")
    scene.sql("INSERT INTO codes SELECT i, i::text FROM generate_series(1, 1000) AS i")
    scene.sql("UPDATE codes SET code = 'abc' WHERE id IN (17, 400)")
    scene.spec(TO_INTEGER)
    scene.up(through="expand")

    scene.sql("INSERT INTO codes VALUES (2001, 'xyz')")
    try:
        scene.up()
    except Exception as refusal:
        said = str(refusal)
    else:
        said = "nothing"

    assert "3 rows in conflict" in said
    assert {str(c.key) for c in scene.ledger().conflicts("m")} == {"{'id': 17}", "{'id': 400}", "{'id': 2001}"}
    assert {c.sqlstate for c in scene.ledger().conflicts("m")} == {"22P02"}
    assert "abc" not in "".join(str(event) for event in scene.ledger().events())

    scene.sql("UPDATE codes SET code = '5' WHERE id IN (17, 400, 2001)")
    assert scene.up().ended == "complete"
    assert scene.sql("SELECT code FROM codes WHERE id IN (17, 400, 2001)") == [(5,), (5,), (5,)]


def test_the_walk_tells_its_rows_and_the_backfill_covers_every_row(scene: Scene) -> None:
    scene.sql(CODES)
    scene.spec(TO_INTEGER)

    scene.up(through="backfill")

    walked = [notice for notice in scene.seen(StepFinished) if notice.step.kind == "walk"]
    assert [notice.rows for notice in walked] == [20000]
    assert all(0 <= notice.share <= 1 for notice in scene.seen(Progress))


def test_a_run_that_ended_between_the_turns_of_two_tables_goes_on(scene: Scene) -> None:
    scene.sql("CREATE TABLE a (id bigint PRIMARY KEY, n int); CREATE TABLE b (id bigint PRIMARY KEY, n int)")
    scene.spec(
        """
changes:
  - change_column: {table: a, column: n, to: {type: bigint}}
  - change_column: {table: b, column: n, to: {type: bigint}}
locks: {timeout: 100ms, budget: 500ms}
"""
    )
    scene.up(through="validate")
    with scene.connect() as report, report.transaction():
        report.execute("SELECT FROM b")
        with pytest.raises(LockBudgetExceeded):
            scene.up()

    assert scene.up().ended == "complete"
