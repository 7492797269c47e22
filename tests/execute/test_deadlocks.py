"""DDL that locks several tables, beside clients that use the same ones: none of these is ended for a deadlock, and
none waits longer than lock_timeout.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.spec.fragment import trusted

PARTITIONED = "CREATE TABLE p (id bigint, v text) PARTITION BY RANGE (id)"
REFERRING = """
CREATE TABLE parent (id bigint PRIMARY KEY);
INSERT INTO parent VALUES (1);
CREATE TABLE child (id bigint PRIMARY KEY, parent_id int {});
INSERT INTO child VALUES (1, 1)"""
ADD_TO_PARTITIONS = "changes: [{add_column: {table: p, column: w, type: text}}]\n"
ADD_KEY = """
changes:
  - add_constraint:
      table: child
      name: child_parent
      foreign_key: {columns: [parent_id], references: {table: parent}}
"""
SWAP_KEY = """
changes:
  - change_column:
      {table: child, column: parent_id, to: {type: bigint}, up: parent_id, down: parent_id::integer, strategy: swap}
"""


def partitions(scene: Scene, count: int) -> None:
    scene.sql(PARTITIONED)
    for number in range(count):
        scene.sql(f"CREATE TABLE p{number} PARTITION OF p FOR VALUES FROM ({number * 100}) TO ({number * 100 + 100})")
    scene.sql(f"INSERT INTO p SELECT i, 'x' FROM generate_series(0, {count * 100 - 1}) AS i")


def open_transaction(scene: Scene, *statements: str) -> psycopg.Connection[Any]:
    connection = scene.connect()
    connection.autocommit = False
    for statement in statements:
        connection.execute(trusted(statement))
    return connection


def wait_until_somebody_waits_for(scene: Scene, table: str) -> None:
    with scene.connect() as look:
        until = time.monotonic() + 20
        waits = f"SELECT FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass"
        while look.execute(trusted(waits)).fetchone() is None:
            assert time.monotonic() < until, f"nobody waits for {table}"
            time.sleep(0.01)


@contextmanager
def at_once(*acts: Callable[[], object]) -> Generator[None]:
    """In threads of their own; what one of them raises is raised in the end."""
    failed: list[BaseException] = []

    def run(act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def run_beside_a_client_that_has(
    scene: Scene, held: str, *, and_wants: str, once_waited_for: str, first_held: str
) -> None:
    """The table that we wait for first is held for a while by another; meanwhile the client begins to wait for it,
    before we begin to wait for what the client has.
    """
    other = open_transaction(scene, first_held)
    client = open_transaction(scene, held)

    def want() -> None:
        wait_until_somebody_waits_for(scene, once_waited_for)
        client.execute(trusted(and_wants))
        client.rollback()

    def let_go() -> None:
        wait_until_somebody_waits_for(scene, once_waited_for)
        time.sleep(0.6)
        other.rollback()

    with other, client, at_once(want, let_go):
        scene.up()


def test_no_client_is_ended_beside_ddl_on_partitions(scene: Scene) -> None:
    partitions(scene, 2)
    scene.spec(ADD_TO_PARTITIONS)

    run_beside_a_client_that_has(
        scene, "SELECT FROM p1", and_wants="SELECT FROM p0", once_waited_for="p0", first_held="SELECT FROM p0"
    )

    assert "w" in scene.columns("p1")


def test_no_client_is_ended_beside_a_foreign_key_that_is_added(scene: Scene) -> None:
    scene.sql(REFERRING.format(""))
    scene.spec(ADD_KEY)

    run_beside_a_client_that_has(
        scene,
        "INSERT INTO child VALUES (2, 1)",
        and_wants="INSERT INTO parent VALUES (2)",
        once_waited_for="parent",
        first_held="INSERT INTO parent VALUES (3)",
    )

    assert scene.one("SELECT convalidated FROM pg_constraint WHERE conname = 'child_parent'")


def test_no_client_is_ended_beside_a_foreign_key_that_goes(scene: Scene) -> None:
    scene.sql(REFERRING.format("REFERENCES parent"))
    scene.spec(SWAP_KEY)
    scene.up(through="archive")

    run_beside_a_client_that_has(
        scene,
        "SELECT FROM child",
        and_wants="SELECT FROM parent",
        once_waited_for="parent",
        first_held="SELECT FROM parent",
    )

    assert scene.columns("child") == ["id", "parent_id"]


@pytest.mark.parametrize(("first", "then"), [("child", "parent"), ("parent", "child")])
def test_a_foreign_key_goes_though_somebody_always_has_one_of_its_tables_and_comes_to_want_the_other(
    scene: Scene, first: str, then: str
) -> None:
    scene.sql(REFERRING.format("CONSTRAINT refers REFERENCES parent"))
    scene.spec("locks: {budget: 8s}\nchanges: [{drop_constraint: {table: child, name: refers}}]\n")

    def write(app: psycopg.Connection[Any], _dice: random.Random, _number: int) -> None:
        with app.transaction():
            for table in (first, then):
                app.execute(trusted(f"LOCK TABLE {table} IN ROW SHARE MODE"))
                time.sleep(0.03)

    with Writers(scene.connect, write, write, write, write) as writers:
        time.sleep(0.2)
        assert scene.up().ended == "complete"

    assert writers.failures == []


def test_a_client_that_waited_before_our_ddl_came_is_not_ended_either(scene: Scene) -> None:
    """It waits for a row, whose holder then waits for what we hold; and it holds what we wait for."""
    scene.sql(f"ALTER DATABASE {scene.one('SELECT current_database()')} SET deadlock_timeout = '2s'")
    partitions(scene, 2)
    scene.sql("CREATE TABLE other (id int); INSERT INTO other VALUES (1)")
    scene.spec("locks: {timeout: 5s}\n" + ADD_TO_PARTITIONS)
    first = open_transaction(scene, "SELECT FROM ONLY p")
    holder = open_transaction(scene, "SELECT FROM other FOR UPDATE")
    client = open_transaction(scene, "SELECT FROM p1")

    def wait_for_the_row() -> None:
        wait_until_somebody_waits_for(scene, "p")
        client.execute("SELECT FROM other FOR UPDATE")
        client.rollback()

    def let_us_in() -> None:
        wait_until_somebody_waits_for(scene, "p")
        time.sleep(0.7)
        first.rollback()

    def close_the_circle() -> None:
        wait_until_somebody_waits_for(scene, "p1")
        holder.execute("SELECT FROM p")
        holder.rollback()

    with first, holder, client, at_once(wait_for_the_row, let_us_in, close_the_circle):
        scene.up()

    assert "w" in scene.columns("p1")


def test_no_client_is_ended_where_lock_timeout_is_longer_than_deadlock_timeout(scene: Scene) -> None:
    """While we hold nothing, PostgreSQL lets the one behind us pass."""
    scene.sql("CREATE TABLE items (id int); CREATE TABLE other (id int); INSERT INTO other VALUES (1)")
    scene.spec("locks: {timeout: 4s}\nchanges: [{add_column: {table: items, column: w, type: text}}]\n")
    holder = open_transaction(scene, "SELECT FROM items")
    client = open_transaction(scene, "SELECT FROM other FOR UPDATE")

    def queue_up() -> None:
        wait_until_somebody_waits_for(scene, "items")
        client.execute("SELECT FROM items")
        client.rollback()

    def close_the_circle() -> None:
        wait_until_somebody_waits_for(scene, "items")
        time.sleep(0.2)
        holder.execute("SELECT FROM other FOR UPDATE")
        holder.rollback()

    with holder, client, at_once(queue_up, close_the_circle):
        scene.up()

    assert "w" in scene.columns("items")


def test_clients_wait_for_one_lock_timeout_however_many_partitions_are_held(scene: Scene) -> None:
    partitions(scene, 3)
    scene.spec("locks: {timeout: 1s}\n" + ADD_TO_PARTITIONS)
    holders = [open_transaction(scene, f"SELECT FROM p{number}") for number in range(3)]

    def let_go() -> None:
        wait_until_somebody_waits_for(scene, "p0")
        for holder in holders:
            time.sleep(0.8)
            holder.close()

    def read(client: psycopg.Connection[Any], _dice: random.Random, _number: int) -> None:
        client.execute("SELECT FROM p WHERE id = 7")

    with Writers(scene.connect, read) as readers, at_once(let_go):
        scene.up()

    assert readers.failures == []
    assert 0.5 < readers.longest < 1.3


def test_a_session_that_holds_a_second_table_is_named(scene: Scene) -> None:
    """Though the wait for it is much shorter than lock_timeout."""
    partitions(scene, 2)
    scene.spec("locks: {timeout: 5s, budget: 2s}\n" + ADD_TO_PARTITIONS)
    holder = open_transaction(scene, "SET application_name = 'nightly report'", "SELECT FROM p1")

    with holder, pytest.raises(Exception, match="nightly report"):
        scene.up()


LOGGED = """
CREATE TABLE taken (txid bigint, relation text, mode text);
CREATE FUNCTION log_taken() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.taken
  SELECT pg_catalog.txid_current(), n.nspname || '.' || c.relname, l.mode
    FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE l.pid = pg_catalog.pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p') AND n.nspname = 'public'
     AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
END $$;
CREATE EVENT TRIGGER log_taken ON ddl_command_end EXECUTE FUNCTION log_taken()"""
UNDECLARED = """
SELECT DISTINCT e.body ->> 'step', t.relation, t.mode
  FROM taken AS t JOIN crossfade.event AS e ON e.xmin::text::bigint = t.txid % (1::bigint << 32)
 WHERE e.kind = 'step done' AND t.relation = ANY (ARRAY['public.parent', 'public.child', 'public.other'])"""
STRENGTH = {"ShareLock": 1, "ShareRowExclusiveLock": 2, "ExclusiveLock": 3, "AccessExclusiveLock": 4}


@pytest.mark.parametrize(
    "spec",
    [
        SWAP_KEY,
        ADD_KEY.replace("child_parent", "second"),
        """
changes:
  - create_table:
      table: grandchild
      columns: [{name: id, type: int}, {name: child_id, type: bigint}]
      foreign_keys: {grandchild_child: {columns: [child_id], references: {table: child, columns: [id]}}}
""",
        "changes: [{drop_column: {table: child, column: parent_id}}]\n",
        "changes: [{rename_column: {table: child, from: parent_id, to: of_parent}}]\n",
    ],
    ids=["swap", "add", "create", "drop", "rename"],
)
def test_no_step_locks_a_table_that_it_does_not_say(scene: Scene, spec: str) -> None:
    scene.sql(REFERRING.format("REFERENCES parent"))
    scene.sql(LOGGED)
    scene.spec(spec + "contract: {stages: [archive: {keep: 1d}, drop: {}]}\n")
    plan = scene.runner().plan(scene.migration())
    said = {
        (step.id, str(lock.relation)): lock.mode.title().replace(" ", "") + "Lock"
        for each in plan.steps
        for step in (each, *each.undo)
        for lock in step.locks
    }

    scene.up()
    scene.rollback()

    taken = scene.sql(UNDECLARED)
    assert taken
    assert [
        (step, relation, mode)
        for step, relation, mode in taken
        if STRENGTH[mode] > STRENGTH.get(said.get((step, relation), ""), 0)
    ] == []
