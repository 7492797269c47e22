"""move_column: a column goes to the row of another table that bears the same key."""

from __future__ import annotations

import random
import threading
from typing import Any

import psycopg
import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, rows, spec
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

SCHEMA = """
CREATE TABLE orders (
  id bigint PRIMARY KEY, at date, address text DEFAULT 'here' CONSTRAINT known CHECK (address <> ''));
CREATE TABLE shipments (id int PRIMARY KEY, order_id bigint NOT NULL UNIQUE, weight int);
CREATE INDEX orders_address_idx ON orders (lower(address));
COMMENT ON COLUMN orders.address IS 'where to';
INSERT INTO orders SELECT i, '2020-01-01', CASE WHEN i % 4 > 0 THEN 'street ' || i END
  FROM generate_series(1, 400) AS i;
INSERT INTO shipments SELECT i + 1000, i, i FROM generate_series(1, 400) AS i"""
MOVE = "move_column: {table: orders, column: address, to: shipments, as: ship_to, by: {id: order_id}}"
BOTH = """
SELECT o.id, s.order_id, o.address, s.ship_to FROM orders AS o FULL JOIN shipments AS s ON order_id = o.id
 WHERE coalesce(o.id, s.order_id) > 400 ORDER BY 1, 2"""
App = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, MOVE)


@pytest.fixture
def moving(scene: Scene) -> Scene:
    """Both tables in step, every row filled."""
    scene.sql(SCHEMA)
    spec(scene, MOVE)
    scene.up(through="validate")
    return scene


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("    ship_to ", "ship_to text DEFAULT 'here'::text"),
        ("COMMENT", "COMMENT ON COLUMN public.shipments.ship_to IS 'where to'"),
        ("known", "CONSTRAINT shipments_known CHECK ((ship_to <> ''::text))"),
        ("address_idx", "CREATE INDEX shipments_address_idx ON public.shipments USING btree (lower(ship_to))"),
    ],
)
def test_what_was_on_the_column_is_on_it_there(lived: Lived, word: str, line: str) -> None:
    assert lived.lines(word) == [line]


def test_each_value_is_in_the_row_of_its_key(lived: Lived) -> None:
    assert lived.scene.columns("orders") == ["id", "at"]
    assert lived.scene.sql("SELECT order_id, ship_to FROM shipments ORDER BY order_id") == [
        (i, f"street {i}" if i % 4 else None) for i in range(1, 401)
    ]


def test_the_second_of_two_rows_gets_the_value_of_the_first_unless_it_brings_one(moving: Scene) -> None:
    moving.sql(
        "INSERT INTO orders VALUES (401, NULL, 'first'), (402, NULL, 'first'); INSERT INTO orders VALUES (403, NULL)"
    )
    moving.sql("INSERT INTO shipments (id, order_id) VALUES (1, 401)")
    moving.sql("INSERT INTO shipments (id, order_id, ship_to) VALUES (2, 402, 'second'), (3, 403, 'second')")
    moving.sql("INSERT INTO shipments (id, order_id, ship_to) VALUES (4, 404, 'first'), (5, 405, 'first')")
    moving.sql("INSERT INTO orders VALUES (404, NULL); INSERT INTO orders VALUES (405, NULL, 'second')")

    assert moving.sql(BOTH) == [
        (401, 401, "first", "first"),
        (402, 402, "second", "second"),
        (403, 403, "second", "second"),
        (404, 404, "first", "first"),
        (405, 405, "second", "second"),
    ]


def test_a_row_that_gets_another_key_brings_its_value_there(moving: Scene) -> None:
    moving.sql("INSERT INTO orders VALUES (401, NULL, 'mine'); INSERT INTO shipments VALUES (1, 499, NULL, 'theirs')")

    moving.sql("UPDATE shipments SET order_id = 401 WHERE order_id = 499")

    assert moving.sql(BOTH) == [(401, 401, "theirs", "theirs")]


def test_rows_are_deleted_one_by_one_and_a_value_is_kept_where_its_row_stays(moving: Scene) -> None:
    moving.sql(
        "DELETE FROM orders WHERE id = 1; DELETE FROM shipments WHERE order_id = 2; DELETE FROM orders WHERE id = 3"
    )

    assert moving.sql("SELECT ship_to FROM shipments WHERE order_id IN (1, 3)") == [("street 1",), ("street 3",)]
    assert moving.sql("SELECT address FROM orders WHERE id = 2") == [("street 2",)]


def test_a_unique_value_goes_to_another_row_though_the_one_it_comes_from_is_held(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql("CREATE UNIQUE INDEX ON orders (address)")
    spec(scene, MOVE)
    scene.up(through="validate")
    with scene.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM shipments WHERE order_id = 2 FOR UPDATE")
        scene.sql("UPDATE orders SET address = 'gone' WHERE id = 2")
        scene.sql("UPDATE orders SET address = 'street 2' WHERE id = 1")

    assert scene.up().ended == "complete"
    assert scene.sql("SELECT ship_to FROM shipments WHERE order_id < 3 ORDER BY order_id") == [("street 2",), ("gone",)]


def test_contract_waits_for_a_value_that_has_no_row_to_go_to(moving: Scene) -> None:
    moving.sql("INSERT INTO orders VALUES (401, NULL, 'nowhere')")

    with pytest.raises(Exception, match=r"1 rows of public\.orders without one in public\.shipments"):
        moving.up()
    moving.sql("INSERT INTO shipments (id, order_id) VALUES (1, 401)")

    assert moving.up().ended == "complete"
    assert moving.one("SELECT ship_to FROM shipments WHERE order_id = 401") == "nowhere"


def test_no_statement_fails_and_no_write_is_lost(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, MOVE, more="backfill: {target: 20ms}\n")
    last: dict[int, str] = {}
    lock = threading.Lock()

    def old(app: App, dice: random.Random, _number: int) -> None:
        key, value = dice.randrange(1, 30), f"old {dice.random()}"
        with lock:
            app.execute("UPDATE orders SET address = %s, at = '2021-01-01' WHERE id = %s", (value, key))
            last[key] = value

    def new(app: App, dice: random.Random, _number: int) -> None:
        key, value = dice.randrange(1, 30), f"new {dice.random()}"
        with lock:
            app.execute("UPDATE shipments SET ship_to = %s WHERE order_id = %s", (value, key))
            last[key] = value

    def aside(app: App, dice: random.Random, _number: int) -> None:
        with app.transaction():  # both rows, the order's first, as the other versions' clients never do
            key = dice.randrange(1, 30)
            app.execute("UPDATE orders SET at = '2022-02-02' WHERE id = %s", (key,))
            app.execute("UPDATE shipments SET weight = 2 WHERE order_id = %s", (key,))

    scene.up(through="expand")
    with Writers(scene.connect, old, new, aside) as both:
        scene.up(through="validate")
    with Writers(scene.connect, new, aside) as alone:
        assert scene.up().ended == "complete"

    assert (both.failures, alone.failures) == ([], [])
    found = dict(scene.sql("SELECT order_id, ship_to FROM shipments"))
    assert found == {i: f"street {i}" if i % 4 else None for i in range(1, 401)} | last


@pytest.mark.parametrize("leg", ["backfill", "retire", "archive", "drop"])
def test_it_comes_back_whole(scene: Scene, leg: str) -> None:
    scene.sql(
        SCHEMA.replace("address text", "address text NOT NULL").replace(
            "CASE WHEN i % 4 > 0 THEN 'street ' || i END", "'a'"
        )
    )
    spec(scene, MOVE)
    before = scene.schema(), rows(scene)

    scene.up(through=leg)
    scene.rollback()

    assert (scene.schema(), rows(scene)) == before


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_a_runner_killed_in_any_phase_ends_as_an_undisturbed_one(scene: Scene, point: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, MOVE)

    kills = run_until_complete(scene, [f"{point}:{count}" for count in (2, 3, 5, 8, 13)])

    assert kills >= 3
    assert scene.sql("SELECT count(*), count(ship_to) FROM shipments") == [(400, 300)]
    assert scene.own_objects() == []


@pytest.mark.parametrize(
    ("more", "move", "said"),
    [
        ("", MOVE.replace("id: order_id", "id: weight"), r"shipments \(weight\) is not unique and NOT NULL"),
        ("", MOVE.replace("id: order_id", "id: id"), r"orders\.id is bigint, public\.shipments\.id is integer"),
        ("", MOVE.replace("ship_to", "weight"), "column weight exists already"),
        ("", MOVE.replace("to: shipments", "to: orders"), "has the column already"),
        ("CREATE INDEX both_of ON orders (address, at)", MOVE, "is over address and over at"),
        ("CREATE VIEW seen AS SELECT address FROM orders", MOVE, "is used by view public.seen"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_refused(scene: Scene, more: str, move: str, said: str) -> None:
    scene.sql(f"{SCHEMA};{more}")
    spec(scene, move)

    with pytest.raises(Exception, match=said):
        scene.up()


def test_two_columns_of_a_row_are_carried_each_by_itself(scene: Scene) -> None:
    scene.sql(SCHEMA)
    weighed = "move_column: {table: orders, column: at, to: shipments, as: sent, by: {id: order_id}}"
    spec(scene, MOVE, weighed)
    scene.up(through="validate")
    with scene.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM shipments WHERE order_id IN (1, 2) FOR UPDATE")
        scene.sql("UPDATE orders SET address = 'a', at = '2020-02-02' WHERE id = 1")
        scene.sql("UPDATE orders SET address = 'b' WHERE id = 2")
    listed = scene.sql("SELECT relation, (key ->> 'id')::int FROM crossfade.conflict ORDER BY 1, 2")

    assert scene.up().ended == "complete"

    assert listed == [
        ("public.orders (sent)", 1),
        ("public.orders (ship_to)", 1),
        ("public.orders (ship_to)", 2),
    ]
    wrote = "SELECT ship_to, sent::text FROM shipments WHERE order_id IN (1, 2) ORDER BY order_id"
    assert scene.sql(wrote)[0] == ("a", "2020-02-02")
    assert scene.sql(wrote)[1][0] == "b"


def test_what_only_the_new_side_was_written_with_is_on_the_old_one_when_it_is_taken_back(moving: Scene) -> None:
    with moving.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM orders WHERE id = 1 FOR UPDATE")
        moving.sql("UPDATE shipments SET ship_to = 'late' WHERE order_id = 1")
    assert moving.ledger().count_conflicts("m", most=2) == 1

    moving.rollback()

    assert moving.one("SELECT address FROM orders WHERE id = 1") == "late"


def test_a_row_that_is_filled_asks_for_no_lock_on_the_one_that_it_is_filled_from(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, MOVE)
    scene.up(through="expand")
    with scene.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM orders FOR UPDATE")

        scene.up(through="backfill")

    assert scene.ledger().count_conflicts("m", most=2) == 0


def test_a_trigger_of_the_users_that_fires_for_what_is_carried_finds_its_tables(moving: Scene) -> None:
    moving.sql(
        "CREATE TABLE log (ship_to text); CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO log VALUES (new.ship_to); RETURN NULL; END $$;"
        "CREATE TRIGGER logged AFTER UPDATE ON shipments FOR EACH ROW EXECUTE FUNCTION logged()"
    )

    moving.sql("UPDATE orders SET address = 'logged' WHERE id = 1")

    assert moving.one("SELECT ship_to FROM log") == "logged"
    assert moving.one("SELECT ship_to FROM shipments WHERE order_id = 1") == "logged"


def test_a_transaction_waits_for_a_second_however_many_of_its_rows_are_held(moving: Scene) -> None:
    with moving.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM shipments WHERE order_id <= 12 FOR UPDATE")
        moving.sql("SET statement_timeout TO '8s'")

        moving.sql("UPDATE orders SET address = 'held' WHERE id <= 12")

    moving.sql("RESET statement_timeout")
    moving.up()
    assert moving.one("SELECT count(*) FROM shipments WHERE ship_to = 'held'") == 12
