"""partition_table under clients, with rows held, runners killed, and the way back from every phase."""

from __future__ import annotations

import random
import time
from itertools import count
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused
from crossfade.spec.fragment import trusted

ORDERS = """
CREATE TABLE owners (id int PRIMARY KEY);
INSERT INTO owners SELECT generate_series(0, 9);
CREATE TABLE orders (
  id bigint PRIMARY KEY, at date NOT NULL, n int, owner int DEFAULT 1 REFERENCES owners ON DELETE SET NULL,
  UNIQUE (n, id, at));
INSERT INTO orders SELECT i, date '2024-01-01' + i % 300, i, i % 10 FROM generate_series(1, 1500) AS i"""
LINES = """;
CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "order" bigint NOT NULL
  REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE);
CREATE INDEX lines_order ON lines ("order");
INSERT INTO lines ("order") SELECT i FROM generate_series(1, 1500) AS i"""
BY_HASH = "partition_table: {table: orders, hash: {columns: [id], partitions: 3}}"
BY_MONTH = """\
partition_table:
      table: orders
      key: [id, at]
      range: {column: at, from: 2024-01-01, to: 2024-09-01, every: month}"""
SOON = "backfill: {target: 20ms}\ncontract: {stages: [{archive: {keep: 0s}}, {drop: {}}]}\n"
ALL = "SELECT id, at::text, n FROM orders ORDER BY id"

App = psycopg.Connection[Any]


class Clients:
    """What clients write, each of them to rows of its own, so that all of it can be told in the end.

    lines: orders have children.
    """

    def __init__(self, scene: Scene, *, lines: bool) -> None:
        self.rows: dict[int, tuple[str, int]] = {key: (at, n) for key, at, n in scene.sql(ALL)}
        self.lines = lines
        self._fresh = count(10_001)

    def write(self, app: App, dice: random.Random, number: int) -> None:
        key, n = 3 * dice.randrange(1, 490) + number, dice.randrange(1000)
        at = f"2024-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"
        match dice.randrange(6):
            case 0:
                key = next(self._fresh)
                with app.transaction():
                    app.execute("INSERT INTO orders VALUES (%s, %s, %s)", (key, at, n))
                    if self.lines:
                        app.execute('INSERT INTO lines ("order") VALUES (%s)', (key,))
                self.rows[key] = (at, n)
            case 1:
                app.execute("DELETE FROM orders WHERE id = %s", (key,))
                self.rows.pop(key, None)
            case 2:  # to another partition
                app.execute("UPDATE orders SET at = %s WHERE id = %s", (at, key))
                if key in self.rows:
                    self.rows[key] = (at, self.rows[key][1])
            case 3:
                other = next(self._fresh)
                app.execute("UPDATE orders SET id = %s WHERE id = %s", (other, key))
                if key in self.rows:
                    self.rows[other] = self.rows.pop(key)
            case 4 if self.lines:
                app.execute(
                    "INSERT INTO orders VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET n = excluded.n", (key, at, n)
                )
                self.rows[key] = (self.rows[key][0] if key in self.rows else at, n)
            case _:
                app.execute("UPDATE orders SET n = %s WHERE id = %s", (n, key))
                if key in self.rows:
                    self.rows[key] = (self.rows[key][0], n)


def orders(scene: Scene) -> bool:
    """Make the tables; gives whether orders have children, which is refused before PostgreSQL 15 as they act."""
    lines = scene.one("SHOW server_version_num") >= "150000"
    scene.sql(ORDERS + (LINES if lines else ""))
    return lines


def found(scene: Scene) -> dict[int, tuple[str, int]]:
    return {key: (at, n) for key, at, n in scene.sql(ALL)}


def test_no_statement_fails_and_no_write_is_lost_from_the_first_phase_to_the_last(scene: Scene) -> None:
    lines = orders(scene)
    spec(scene, BY_HASH, more=SOON)
    clients = Clients(scene, lines=lines)

    with Writers(scene.connect, *[clients.write] * 3) as writers:
        assert scene.up(through="cutover").ended == "reached"
        time.sleep(0.5)
        assert scene.up().ended == "complete"

    assert writers.failures == []
    assert writers.statements > 100
    assert found(scene) == clients.rows
    assert scene.own_objects() == []
    if lines:
        orphans = 'SELECT count(*) FROM lines WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.id = "order")'
        assert scene.one(orphans) == 0
        key = 'lines_order_fkey FOREIGN KEY ("order") REFERENCES public.orders(id) ON UPDATE CASCADE ON DELETE CASCADE;'
        assert key in scene.schema()


@pytest.mark.parametrize("leg", ["validate", "cutover", "archive"])
def test_what_was_written_at_any_time_is_there_when_it_is_taken_back(scene: Scene, leg: str) -> None:
    scene.sql(ORDERS)
    spec(scene, BY_MONTH, more=SOON)
    before = scene.schema()
    clients = Clients(scene, lines=False)

    with Writers(scene.connect, *[clients.write] * 3) as writers:
        scene.up(through=leg)
        time.sleep(0.3)
        assert scene.rollback().ended == "undone"

    assert writers.failures == []
    assert found(scene) == clients.rows
    assert scene.schema() == before
    assert scene.own_objects() == []


def test_a_runner_killed_in_any_phase_and_on_the_way_back_ends_as_an_undisturbed_one(scene: Scene) -> None:
    orders(scene)
    spec(scene, BY_HASH, more=SOON)
    before = scene.schema(), found(scene)
    kills = ["before commit:2", "after commit:3", "before commit:5", "after step:8", "after commit:13"]

    assert scene.up(through="archive").ended == "reached"
    assert run_until_complete(scene, kills, act="rollback") >= 3
    assert (scene.schema(), found(scene)) == before

    assert run_until_complete(scene, kills) >= 3
    assert found(scene) == before[1]
    assert scene.own_objects() == []


def test_a_runner_killed_while_it_brings_the_table_of_old_up_to_date_is_gone_on_from(scene: Scene) -> None:
    orders(scene)
    spec(scene, BY_HASH, more=SOON)
    before = scene.schema()
    scene.up(through="archive")
    scene.sql("UPDATE orders SET n = -n WHERE id % 3 = 0; DELETE FROM orders WHERE id % 10 = 0")  # no longer in step
    written = found(scene)

    kills = [f"after commit:{count}" for count in (2, 4, 3, 4, 5, 6)]
    assert run_until_complete(scene, kills, act="rollback") == len(kills)

    assert (scene.schema(), found(scene)) == (before, written)


@pytest.fixture
def beside(scene: Scene) -> Scene:
    """A table of 20 rows and its twin, in step."""
    scene.sql(ORDERS.replace("1500", "20"))
    spec(scene, BY_MONTH, more=SOON)
    scene.up(through="expand")
    return scene


_TWIN = "SELECT oid::regclass FROM pg_class WHERE relname LIKE '\\_cf\\_%' AND relkind = 'p'"


def test_whatever_a_client_does_to_a_row_reaches_the_twin(beside: Scene) -> None:
    twin = beside.one(_TWIN)
    with beside.connect() as early, beside.connect() as holder:
        early.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        early.execute("SELECT count(*) FROM orders")
        beside.up(through="validate")
        early.execute("DELETE FROM orders WHERE id = 1")  # whose copy its snapshot does not show
        early.execute("UPDATE orders SET n = -2 WHERE id = 2")
        early.execute("COMMIT")
        with holder.transaction():
            holder.execute(trusted(f"SELECT FROM {twin} WHERE id = 3 FOR UPDATE"))
            beside.sql("UPDATE orders SET n = -3 WHERE id = 3")
        beside.sql("SET session_replication_role = replica")
        beside.sql("UPDATE orders SET n = -4 WHERE id = 4")
        beside.sql("RESET session_replication_role")
        beside.sql("DROP ROLE IF EXISTS half_p; CREATE ROLE half_p; GRANT SELECT, UPDATE ON orders TO half_p")
        beside.sql("SET ROLE half_p; UPDATE orders SET n = -5 WHERE id = 5; RESET ROLE")
        beside.sql("DROP OWNED BY half_p; DROP ROLE half_p")
        beside.sql("UPDATE orders SET id = id + 1 WHERE id = 20")
        beside.sql("DELETE FROM owners WHERE id = 6")
    wrote = beside.sql("SELECT id, at, n, owner FROM orders ORDER BY id")

    assert beside.up(through="cutover").ended == "reached"

    assert beside.sql("SELECT id, at, n, owner FROM orders ORDER BY id") == wrote
    assert [(key, n) for key, _, n, _ in wrote[:4]] == [(2, -2), (3, -3), (4, -4), (5, -5)]
    assert beside.sql("SELECT id FROM orders WHERE owner IS NULL ORDER BY id") == [(6,), (16,)]

    beside.sql("TRUNCATE orders")
    assert beside.rollback().ended == "undone"
    assert beside.one("SELECT count(*) FROM orders") == 0


def test_what_functions_of_its_rules_call_is_found_where_applications_find_it(scene: Scene) -> None:
    scene.sql(
        "CREATE FUNCTION known(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';"
        "CREATE FUNCTION asked(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN known($1); END';"
        "CREATE TABLE orders (id bigint PRIMARY KEY, n int CHECK (asked(n)));"
        "INSERT INTO orders SELECT i, i FROM generate_series(1, 20) AS i"
    )
    spec(scene, BY_HASH, more=SOON)
    scene.up(through="validate")

    scene.sql("UPDATE orders SET n = 100 WHERE id = 1; INSERT INTO orders VALUES (21, 21)")

    assert scene.up().ended == "complete"
    assert scene.sql("SELECT id FROM orders WHERE n = 100 OR id = 21 ORDER BY 1") == [(1,), (21,)]


def test_a_row_that_belongs_into_no_partition_holds_cutover_up(scene: Scene) -> None:
    scene.sql(ORDERS.replace("1500", "20"))
    spec(scene, BY_MONTH.replace("every: month", "every: month, default: false"), more=SOON)
    scene.sql("INSERT INTO orders VALUES (100, '2020-01-01', 1)")
    scene.up(through="backfill")
    scene.sql("INSERT INTO orders VALUES (101, '2020-01-01', 1)")

    with pytest.raises(StepRefused, match="2 rows in conflict"):
        scene.up(through="validate")

    scene.sql("DELETE FROM orders WHERE id = 100; UPDATE orders SET at = '2024-02-02' WHERE id = 101")
    assert scene.up().ended == "complete"
    assert scene.one("SELECT count(*) FROM orders_2024_02 WHERE id = 101") == 1


def test_what_the_table_got_since_the_plan_holds_cutover_up(beside: Scene) -> None:
    beside.sql("CREATE INDEX orders_owner ON orders (owner)")

    with pytest.raises(StepRefused, match=r"1 alterations of table public\.orders"):
        beside.up()

    beside.sql("DROP INDEX orders_owner")
    assert beside.up().ended == "complete"


def test_more_partitions_are_made_as_the_page_says_and_one_attached_with_rows_stops_the_way_back(beside: Scene) -> None:
    beside.up(through="cutover")
    beside.sql("CREATE TABLE orders_2024_09 (LIKE orders INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    beside.sql("ALTER TABLE orders ATTACH PARTITION orders_2024_09 FOR VALUES FROM ('2024-09-01') TO ('2024-10-01')")
    beside.sql("INSERT INTO orders VALUES (30, '2024-09-09', 1)")
    beside.sql("CREATE TABLE filled (LIKE orders); INSERT INTO filled VALUES (31, '2024-10-10', 1)")
    beside.sql("ALTER TABLE orders ATTACH PARTITION filled FOR VALUES FROM ('2024-10-01') TO ('2024-11-01')")

    with pytest.raises(StepRefused, match="1 rows of orders that the table of old has not"):
        beside.rollback()

    beside.sql("UPDATE orders SET n = 2 WHERE id = 31")
    assert beside.rollback().ended == "undone"
    assert beside.sql("SELECT id FROM orders WHERE id > 20 ORDER BY 1") == [(30,), (31,)]
