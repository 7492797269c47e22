"""create_materialized_view, refresh_materialized_view, and drop_view of one."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.writers import Writers
from tests.scene import Scene

SCHEMA = """
CREATE TABLE orders (id int PRIMARY KEY, day int NOT NULL, total int);
INSERT INTO orders SELECT i, i % 5, i FROM generate_series(1, 100) AS i;
CREATE MATERIALIZED VIEW daily WITH (fillfactor = 70) AS SELECT day, sum(total) AS total FROM orders GROUP BY 1;
CREATE UNIQUE INDEX daily_days ON daily (day);
CREATE INDEX daily_totals ON daily ((total + 1)) WHERE total > 0;
COMMENT ON MATERIALIZED VIEW daily IS 'of days'; COMMENT ON INDEX daily_days IS 'one each';
GRANT SELECT ON daily TO pg_monitor; ALTER MATERIALIZED VIEW daily ALTER COLUMN total SET STATISTICS 50;
CREATE MATERIALIZED VIEW bare AS SELECT day FROM orders;
CREATE MATERIALIZED VIEW empty AS SELECT day FROM orders WITH NO DATA"""
CREATE = (
    "create_materialized_view: {view: best, as: 'SELECT day, max(total) AS most FROM orders GROUP BY 1',"
    " indexes: [{name: best_days, columns: [day], unique: true}, {name: best_most, columns: [most, day]}],"
    " comment: of each day}"
)
DROP = "drop_view: {view: daily}"
REFRESH = "refresh_materialized_view: {view: daily}"


def test_one_is_made_empty_filled_in_validate_and_goes_again(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CREATE)
    scene.up(through="expand")
    assert scene.one("SELECT relispopulated FROM pg_class WHERE relname = 'best'") is False
    scene.up(through="validate")
    assert scene.one("SELECT most FROM best WHERE day = 1") == 96
    scene.rollback(to="expand")
    assert scene.one("SELECT relispopulated FROM pg_class WHERE relname = 'best'") is False

    assert scene.up().ended == "complete"

    assert "CREATE UNIQUE INDEX best_days ON public.best USING btree (day)" in scene.schema()
    assert "COMMENT ON MATERIALIZED VIEW public.best IS 'of each day'" in scene.schema()


def test_one_is_made_and_another_dropped_and_all_comes_back(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, CREATE, DROP)
    assert "public.daily" not in lived.schema

    assert scene.rollback().ended == "undone"

    told = "\n".join(lines_of(scene.schema(), "daily"))
    scene.sql("DROP MATERIALIZED VIEW daily, bare, empty; DROP TABLE orders")
    scene.sql(SCHEMA)
    assert told == "\n".join(lines_of(scene.schema(), "daily"))
    assert scene.one("SELECT total FROM daily WHERE day = 1") == 970


def lines_of(schema: str, word: str) -> list[str]:
    return [line for line in schema.splitlines() if word in line]


def test_one_over_a_column_that_is_filled_first_has_its_values(scene: Scene) -> None:
    scene.sql(SCHEMA)
    column = "add_column: {table: orders, column: cents, type: int, up: total * 100}"
    view = "create_materialized_view: {view: cents, as: SELECT sum(cents) AS cents FROM orders}"
    spec(scene, column, view, "create_view: {view: over, as: SELECT cents FROM cents}")

    assert scene.up().ended == "complete"

    assert scene.one("SELECT cents FROM over") == 505000


def test_readers_and_writers_notice_no_refresh(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, "update_rows: {table: orders, where: total > 0, set: {total: total + 1}}", REFRESH, CREATE)

    def read(connection: psycopg.Connection[Any], dice: random.Random, _: int) -> None:
        assert connection.execute("SELECT total FROM daily WHERE day = %s", (dice.randint(0, 4),)).fetchone()
        connection.execute("UPDATE orders SET day = day WHERE id = %s", (dice.randint(1, 100),))

    with Writers(scene.connect, read, read) as writers:
        assert scene.up().ended == "complete"

    assert writers.failures == []
    assert scene.one("SELECT total FROM daily WHERE day = 1") == 990


def test_one_that_was_never_filled_is_filled_and_one_without_an_index_where_its_readers_may_wait(scene: Scene) -> None:
    scene.sql(SCHEMA)
    changes = ("refresh_materialized_view: {view: bare, concurrently: false, at: cutover}",)
    spec(scene, "refresh_materialized_view: {view: empty}", *changes)

    plan = scene.runner().plan(scene.migration())
    assert [hazard.what for hazard in plan.hazards if hazard.code == "readers-wait"] == [
        "whoever reads public.bare waits until its query is done"
    ]
    scene.sql("INSERT INTO orders VALUES (101, 9, 1)")
    assert scene.up().ended == "complete"

    assert scene.sql("SELECT count(*) FROM bare UNION ALL SELECT count(*) FROM empty") == [(101,), (101,)]


@pytest.mark.parametrize("leg", ["expand", "validate", "drop"])
def test_a_runner_killed_there_is_gone_on_with(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, CREATE, REFRESH, DROP)
    before = {"expand": None, "validate": "backfill", "drop": "validate"}[leg]
    if before is not None:
        scene.up(through=before if before != "backfill" else "expand")
    assert scene.start_process(fault="before commit:2" if leg == "validate" else "before commit:1").ending().killed
    scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    assert scene.up().ended == "complete"
    assert scene.one("SELECT most FROM best WHERE day = 1") == 96
    assert scene.rollback().ended == "undone"
    assert scene.one("SELECT total FROM daily WHERE day = 1") == 970


REFUSED = {
    "a column that it does not give": (
        "create_materialized_view: {view: v, as: SELECT day FROM orders, indexes: [{name: i, columns: [dya]}]}",
        "public.v has no column dya",
    ),
    "an index of a name that is taken": (
        "create_materialized_view: {view: v, as: SELECT 1 AS a, indexes: [{name: daily_days, columns: [a]}]}",
        "an index daily_days exists already",
    ),
    "a method that there is not": (
        "create_materialized_view: {view: v, as: SELECT 1 AS a, indexes: [{name: i, columns: [a], method: tree}]}",
        "there is no index method tree",
    ),
    "readers who would wait": (
        "refresh_materialized_view: {view: bare}",
        "whoever reads public.bare would wait until its query is done",
    ),
    "what cannot be done beside readers": (
        "refresh_materialized_view: {view: empty, concurrently: true}",
        "public.empty cannot be refreshed concurrently: it was never filled",
    ),
    "one that is none": ("refresh_materialized_view: {view: orders}", "materialized view public.orders does not exist"),
    "to replace one": ("replace_view: {view: bare, as: SELECT 1 AS day}", "public.bare is a materialized view"),
}


@pytest.mark.parametrize(("change", "what"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_when_planned(scene: Scene, change: str, what: str) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, change)

    assert problem.what.startswith(what)
