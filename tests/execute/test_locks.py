"""DDL beside a session that holds the table: nobody waits longer than lock_timeout, and the audit says who held it."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from tests.scene import Scene

from crossfade.execute import LockBudgetExceeded, Retrying, StepFinished, StepRefused

ADD = """
changes: [{add_column: {table: items, column: extra, type: text}}]
locks: {timeout: 200ms, budget: %s}
"""


def refused_up(scene: Scene) -> None:
    with pytest.raises(LockBudgetExceeded):
        scene.up()


def test_ddl_is_retried_until_the_blocker_is_gone_and_names_it(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD % "30s")
    with scene.connect() as blocker:
        blocker.execute("BEGIN")
        blocker.execute("SELECT * FROM items WHERE id = 12345")
        threading.Timer(1.5, lambda: blocker.execute("COMMIT")).start()

        scene.up()

    retries = list(scene.seen(Retrying))
    assert retries
    assert retries[0].blockers[0].state == "idle in transaction"
    assert "12345" not in retries[0].blockers[0].query
    failed = [event for event in scene.ledger().events("m") if event.kind == "attempt failed"]
    assert failed[0].body["blockers"][0]["pid"] == retries[0].blockers[0].pid
    assert "extra" in scene.columns("items")


def test_a_step_says_how_long_it_held_its_locks_without_the_time_it_waited_for_them(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD % "30s")
    with scene.connect() as blocker:
        blocker.execute("BEGIN; SELECT FROM items")
        threading.Timer(1, lambda: blocker.execute("COMMIT")).start()

        scene.up()

    added = next(finished for finished in scene.seen(StepFinished) if finished.attempts > 1)
    assert 0 < added.held < added.lock_wait


def test_others_wait_no_longer_than_lock_timeout_behind_our_ddl(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec("""
changes: [{add_column: {table: items, column: extra, type: text}}]
locks: {timeout: 1s, budget: 2s}
""")
    longest = 0.0
    with scene.connect() as blocker, scene.connect() as reader:
        blocker.execute("BEGIN")
        blocker.execute("SELECT FROM items")
        run = threading.Thread(target=refused_up, args=(scene,))
        run.start()
        while run.is_alive():
            began = time.monotonic()
            reader.execute("SELECT count(*) FROM items")
            longest = max(longest, time.monotonic() - began)
        run.join()

    # One attempt's lock_timeout, and what a loaded machine adds.
    assert 0.5 < longest < 1.4


def test_a_budget_that_is_used_up_leaves_nothing_and_says_who_holds_the_lock(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD % "1s")
    before = scene.schema()
    with scene.connect() as blocker:
        blocker.execute("SET application_name = 'nightly report'")
        blocker.execute("BEGIN")
        blocker.execute("SELECT FROM items")

        with pytest.raises(LockBudgetExceeded, match="nightly report"):
            scene.up()

    assert scene.schema() == before


def test_an_invalid_index_that_is_not_ours_is_left_alone_and_named(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, n int)")
    scene.sql("INSERT INTO items VALUES (1, 1), (2, 1)")
    scene.spec("changes: [{create_index: {table: items, name: items_n, columns: [n]}}]\n")
    scene.up(through="backfill")
    with scene.connect() as builder, pytest.raises(psycopg.errors.UniqueViolation):
        builder.execute("CREATE UNIQUE INDEX CONCURRENTLY items_n ON items (n)")

    with pytest.raises(StepRefused, match="an index items_n exists already"):
        scene.up()

    assert scene.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'items_n'::regclass") is False


def test_an_invalid_index_left_by_a_build_that_was_cut_off_is_replaced(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, n int)")
    scene.sql("INSERT INTO items SELECT i, i FROM generate_series(1, 100) AS i")
    scene.spec("changes: [{create_index: {table: items, name: items_n, columns: [n]}}]\n")
    assert scene.start_process(fault="before statement:1").ending().killed
    with scene.connect() as holder, scene.connect() as builder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET n = n WHERE id = 1")
        builder.execute("SET statement_timeout = '300ms'")
        with pytest.raises(Exception, match="timeout"):
            builder.execute("CREATE INDEX CONCURRENTLY items_n ON items (n)")
    assert scene.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'items_n'::regclass") is False

    scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")
    scene.up()

    assert scene.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'items_n'::regclass") is True
