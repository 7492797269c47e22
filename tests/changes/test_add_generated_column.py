"""add_generated_column: a value that always follows from the row, without a rewrite."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

ORDERS = """
CREATE TABLE orders (id int PRIMARY KEY, quantity int NOT NULL, price numeric(10,2), note text);
INSERT INTO orders SELECT i, i % 9, CASE WHEN i % 10 > 0 THEN i / 100.0 END FROM generate_series(1, 3000) AS i
"""
TOTAL = """add_generated_column:
      table: orders
      column: total
      type: numeric(12,2)
      expression: quantity * coalesce(price, 0)
      nullable: false
      comment: what is to be paid"""
WRONG = "SELECT count(*) FROM orders WHERE total IS DISTINCT FROM quantity * coalesce(price, 0)"


@pytest.fixture
def orders(scene: Scene) -> Scene:
    scene.sql(ORDERS)
    return scene


def test_it_follows_from_the_row_from_backfill_on_and_for_good(orders: Scene) -> None:
    spec(orders, TOTAL)

    orders.up(through="backfill")
    orders.sql("INSERT INTO orders VALUES (3001, 2, 5); UPDATE orders SET price = 7 WHERE id = 1")
    assert orders.one(WRONG) == 0

    assert orders.up().ended == "complete"
    orders.sql("INSERT INTO orders VALUES (3002, 3, 5); UPDATE orders SET quantity = 4 WHERE id = 2")
    orders.sql("UPDATE orders SET total = 1 WHERE id = 3")
    assert orders.one(WRONG) == 0
    assert orders.own_objects() == []


def test_what_stays_says_what_it_is_for(orders: Scene) -> None:
    spec(orders, TOTAL)

    orders.up()

    schema = orders.schema()
    assert "total numeric(12,2) NOT NULL" in schema
    assert "COMMENT ON COLUMN public.orders.total IS 'what is to be paid'" in schema
    assert "CREATE TRIGGER zz_orders_total_generated BEFORE INSERT OR UPDATE ON public.orders" in schema
    assert "Keeps public.orders.total as its expression says; made by migration m" in schema


@pytest.mark.parametrize("leg", ["validate", "retire", "archive", None])
def test_it_is_taken_back_without_a_trace_at_any_time(orders: Scene, leg: str | None) -> None:
    before = orders.schema(), rows(orders)
    spec(orders, TOTAL)
    orders.up(through=leg)

    assert orders.rollback().ended == "undone"

    assert (orders.schema(), rows(orders)) == before


def test_no_statement_fails_and_every_row_is_right_while_the_old_version_writes_and_the_new_one_reads(
    orders: Scene,
) -> None:
    spec(orders, TOTAL)
    wrong: list[int] = []

    def old(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        key = dice.randrange(1, 3000)
        app.execute("UPDATE orders SET quantity = %s, price = %s WHERE id = %s", (dice.randrange(9), 1.5, key))
        app.execute(
            "INSERT INTO orders (id, quantity, price) VALUES (%s, 1, 2) ON CONFLICT DO NOTHING",
            (dice.randrange(10**4, 10**9),),
        )

    def new(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        key = dice.randrange(1, 3000)
        row = app.execute("SELECT total, quantity * coalesce(price, 0) FROM orders WHERE id = %s", (key,)).fetchone()
        if row is not None and row[0] != row[1]:
            wrong.append(key)

    with Writers(orders.connect, old) as before:
        orders.up(through="backfill")
    with Writers(orders.connect, old, new) as clients:
        assert orders.up().ended == "complete"

    assert before.failures == []
    assert clients.failures == []
    assert wrong == []
    assert orders.one(WRONG) == 0


def test_a_row_for_which_the_expression_fails_holds_up_contract_and_fails_no_statement(orders: Scene) -> None:
    spec(orders, "add_generated_column: {table: orders, column: each, type: numeric, expression: price / quantity}")
    orders.sql("UPDATE orders SET quantity = 1 WHERE quantity = 0")
    orders.up(through="expand")

    orders.sql("UPDATE orders SET quantity = 0 WHERE id = 5")

    with pytest.raises(StepRefused, match="1 rows in conflict"):
        orders.up()
    orders.sql("UPDATE orders SET quantity = 2 WHERE id = 5")
    assert orders.up().ended == "complete"
    with pytest.raises(psycopg.errors.DivisionByZero):
        orders.sql("UPDATE orders SET quantity = 0 WHERE id = 5")


def test_a_table_without_rows_gets_a_real_one(scene: Scene) -> None:
    scene.sql("CREATE TABLE orders (id int PRIMARY KEY, quantity int NOT NULL, price numeric(10,2))")
    before = scene.schema()
    spec(scene, TOTAL)

    assert scene.up().ended == "complete"
    assert "COALESCE(price, (0)::numeric))) STORED NOT NULL" in scene.schema()

    scene.rollback()
    assert scene.schema() == before


def test_rows_that_came_since_the_plan_are_never_rewritten(scene: Scene) -> None:
    scene.sql("CREATE TABLE orders (id int PRIMARY KEY, quantity int NOT NULL, price numeric(10,2))")
    spec(scene, TOTAL)
    (step,) = (s for s in scene.runner().plan(scene.migration()).steps if s.id == "public.orders/total/generated")
    scene.sql("INSERT INTO orders VALUES (1, 1, 1)")

    assert step.kind == "ddl"
    assert [scene.one(guard.query) for guard in step.guards] == [False]


def test_a_runner_killed_again_and_again_ends_as_an_undisturbed_one(orders: Scene) -> None:
    spec(orders, TOTAL)

    assert run_until_complete(orders, [f"after commit:{count}" for count in (1, 2, 3, 5, 8)]) >= 2

    orders.sql("INSERT INTO orders VALUES (3002, 3, 5)")
    assert orders.one(WRONG) == 0
    assert orders.own_objects() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (TOTAL.replace("column: total", "column: note"), "column note exists already"),
        (TOTAL.replace("quantity * coalesce(price, 0)", "(SELECT 1)"), "expression has a sub-select"),
        (TOTAL.replace("quantity * coalesce(price, 0)", "random()"), "expression gives another value at another time"),
        (TOTAL + "\n      stored: false", "`stored: false` needs PostgreSQL 18|is to be NOT NULL, and virtual"),
        (TOTAL.replace("quantity *", "twice *"), "expression reads twice, a generated column"),
    ],
)
def test_what_cannot_be_kept_is_refused(orders: Scene, change: str, said: str) -> None:
    orders.sql("ALTER TABLE orders ADD twice int GENERATED ALWAYS AS (quantity * 2) STORED")

    (problem,) = refusal(orders, change)

    assert any(problem.what.startswith(each) or each in problem.what for each in said.split("|"))


def test_a_virtual_one_is_the_catalog_alone(scene: Scene) -> None:
    if scene.one("SELECT current_setting('server_version_num')::int") < 180000:
        pytest.skip("PostgreSQL 18 brought virtual columns")
    scene.sql(ORDERS)
    before, file = scene.schema(), scene.one("SELECT pg_relation_filenode('orders')")
    spec(scene, TOTAL.replace("nullable: false", "stored: false"))

    assert scene.up().ended == "complete"
    assert scene.one("SELECT pg_relation_filenode('orders')") == file
    assert scene.one(WRONG) == 0

    scene.rollback()
    assert scene.schema() == before
