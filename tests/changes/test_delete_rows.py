"""delete_rows: rows go in batches with what points at them, or stay, and come back as they were."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.changes.meanwhile import SLOW, up_and_meanwhile
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import ExecutionFailed, StepRefused

SCHEMA = """
CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, gone boolean NOT NULL DEFAULT false,
  shout text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE);
CREATE INDEX ON orders (user_id);
CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE SET NULL, what text);
CREATE INDEX ON lines (order_id);
INSERT INTO users (name, gone) SELECT 'n' || i, i % 2 = 0 FROM generate_series(1, 40) AS i;
INSERT INTO orders SELECT i, i % 10 + 1 FROM generate_series(1, 30) AS i;
INSERT INTO lines SELECT i, i % 30 + 1, 'x' FROM generate_series(1, 60) AS i"""
EVERY = ("keep", "delete")


@pytest.fixture
def shop(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    return scene


def delete(children: str, where: str = "gone") -> str:
    return f'delete_rows: {{table: users, where: "{where}", children: {children}}}'


def ids(scene: Scene, table: str) -> list[int]:
    return [key for (key,) in scene.sql(f"SELECT id FROM {table} ORDER BY id")]


def test_rows_that_match_go_and_others_stay(shop: Scene) -> None:
    spec(shop, "delete_rows: {table: lines, where: id > 10}")

    assert shop.up().ended == "complete"

    assert ids(shop, "lines") == [*range(1, 11)]
    assert shop.own_objects() == []


@pytest.mark.parametrize("children", EVERY)
def test_undo_brings_rows_and_their_children_back_as_they_were(shop: Scene, children: str) -> None:
    before = shop.schema(), rows(shop)
    spec(shop, delete(children))

    shop.up()
    assert rows(shop) != before[1]
    shop.rollback()

    assert (shop.schema(), rows(shop)) == before


def test_nothing_goes_while_a_row_has_children_unless_the_spec_says_what_becomes_of_them(shop: Scene) -> None:
    before = rows(shop)
    spec(shop, delete("refuse"))

    with pytest.raises(StepRefused, match=r"^5 rows of public.users that are to go"):
        shop.up()

    assert rows(shop) == before


def test_rows_with_children_stay_where_the_spec_says_so(shop: Scene) -> None:
    spec(shop, delete("keep"))

    shop.up()

    assert ids(shop, "users") == [i for i in range(1, 41) if i % 2 or i <= 10]
    assert len(ids(shop, "orders")) == 30


def test_children_of_children_go_first_whatever_their_foreign_keys_do(shop: Scene) -> None:
    spec(shop, delete("delete"))

    shop.up()

    assert ids(shop, "users") == [*range(1, 41, 2)]
    assert {user for (user,) in shop.sql("SELECT user_id FROM orders")} == {1, 3, 5, 7, 9}
    assert shop.one("SELECT count(*) FROM lines") == 30
    assert shop.one("SELECT count(*) FROM lines WHERE order_id IS NULL") == 0


def test_a_row_that_came_again_under_its_key_stays_and_so_does_the_parentless_one(shop: Scene) -> None:
    spec(shop, "delete_rows: {table: lines, where: id > 10}")
    shop.up()
    shop.sql("INSERT INTO lines VALUES (11, 1, 'new'); DELETE FROM orders WHERE id = 13")

    shop.rollback()

    assert shop.one("SELECT what FROM lines WHERE id = 11") == "new"
    assert [i for i in range(11, 61) if i not in ids(shop, "lines")] == [12, 42]


def test_a_row_of_which_another_has_taken_what_only_one_may_have_is_kept_until_it_may_come_back(shop: Scene) -> None:
    shop.sql("ALTER TABLE lines ADD code int UNIQUE, ADD mark int; CREATE UNIQUE INDEX ON lines (mark) WHERE mark > 0")
    shop.sql("UPDATE lines SET code = id, mark = id")
    spec(shop, "delete_rows: {table: lines, where: id > 58}")
    shop.up()
    shop.sql("INSERT INTO lines (id, order_id, code, mark) VALUES (70, 1, 59, 0), (71, 1, 0, 60)")

    with pytest.raises(ExecutionFailed, match="a row cannot be written"):
        shop.rollback()
    shop.sql("UPDATE lines SET mark = 0 WHERE id = 71")
    shop.rollback()

    assert [i for i in ids(shop, "lines") if i > 57] == [58, 60, 70, 71]
    told = [event.body["rows"] for event in shop.ledger().events("m") if event.kind == "rows not known"]
    assert told == [1]


def test_rows_that_point_at_each_other_go_from_below(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE tree (id int PRIMARY KEY, above int REFERENCES tree); CREATE INDEX ON tree (above);"
        "INSERT INTO tree SELECT i, nullif(i / 2, 0) FROM generate_series(1, 63) AS i; UPDATE tree SET above = 1"
        " WHERE id = 1"
    )
    before = rows(scene)
    spec(scene, 'delete_rows: {table: tree, where: "id <> 5"}')

    with pytest.raises(StepRefused, match=r"^2 rows of public.tree that are to go"):
        scene.up()
    assert ids(scene, "tree") == [1, 2, 5]

    scene.sql("UPDATE tree SET above = NULL WHERE id = 5")
    assert scene.up().ended == "complete"
    assert ids(scene, "tree") == [5]

    scene.rollback()
    assert rows(scene)["tree"] == [row if row != "(5,2)" else "(5,)" for row in before["tree"]]


def test_partitions_and_tables_without_a_key_lose_rows_too(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE log (at int, what text) PARTITION BY RANGE (at);"
        "CREATE TABLE low PARTITION OF log FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE high PARTITION OF log FOR VALUES FROM (10) TO (20);"
        "INSERT INTO log SELECT i % 20, 'x' FROM generate_series(1, 100) AS i"
    )
    before = rows(scene)
    spec(scene, 'delete_rows: {table: log, where: "at % 2 = 0"}')

    scene.up()
    assert scene.one("SELECT count(*) FROM log") == 50

    scene.rollback()
    assert rows(scene) == before


@pytest.mark.parametrize("loud", [False, True])
def test_user_triggers_fire_only_where_the_spec_says_so(shop: Scene, loud: bool) -> None:
    shop.sql(
        "CREATE TABLE fired (id int, op text);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO fired VALUES (coalesce(new.id, old.id), tg_op); RETURN NULL; END $$;"
        "CREATE TRIGGER noted AFTER INSERT OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION note()"
    )
    before = rows(shop)
    spec(shop, delete("delete"), more="backfill: {fire_triggers: true}\n" if loud else "")

    shop.up()
    shop.rollback()

    assert shop.sql("SELECT op, count(*) FROM fired GROUP BY op ORDER BY op") == (
        [("DELETE", 20), ("INSERT", 20)] if loud else []
    )
    assert rows(shop) | {"fired": []} == before


def test_a_child_that_comes_between_the_look_and_the_lock_keeps_its_parent(shop: Scene) -> None:
    shop.sql(SLOW)
    spec(shop, delete("keep", "slow(id)"))

    up_and_meanwhile(shop, "INSERT INTO orders VALUES (99, 12)")

    assert ids(shop, "users") == [*range(1, 11), 12]
    assert shop.one("SELECT user_id FROM orders WHERE id = 99") == 12


def test_a_child_that_comes_in_meanwhile_never_goes_by_the_foreign_keys_own_rule(shop: Scene) -> None:
    shop.sql("INSERT INTO users (name, gone) SELECT 'm' || i, true FROM generate_series(41, 20000) AS i")

    def order(connection: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        # Where the user is gone the old version finds it out as it would in any case.
        with suppress(psycopg.errors.ForeignKeyViolation):
            connection.execute("INSERT INTO orders SELECT nextval('made'), %s", (dice.randint(41, 20000),))

    shop.sql("CREATE SEQUENCE made START 1000")
    spec(shop, delete("keep"), more="backfill: {target: 20ms}\n")
    with Writers(shop.connect, order, order) as writers:
        assert shop.up().ended == "complete"

    assert writers.failures == []
    kept = shop.one("SELECT count(*) FROM orders WHERE id >= 1000")
    assert kept == shop.one("SELECT count(*) FROM orders JOIN users ON users.id = user_id WHERE orders.id >= 1000")
    assert shop.one("SELECT last_value FROM made") > 1000
    assert (
        shop.one("SELECT count(*) FROM users WHERE gone AND NOT EXISTS (SELECT FROM orders WHERE user_id = users.id)")
        == 0
    )


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_killed_at_any_commit_and_run_again_nothing_is_lost(shop: Scene, point: str) -> None:
    before = shop.schema(), rows(shop)
    spec(shop, delete("delete"))
    kills = run_until_complete(shop, [f"{point}:{count}" for count in (9, 14)])
    assert ids(shop, "users") == [*range(1, 41, 2)]
    kills += run_until_complete(shop, [f"{point}:{count}" for count in (4,)], act="rollback")
    assert kills >= 2
    assert (shop.schema(), rows(shop)) == before


def test_a_foreign_key_without_an_index_is_told(shop: Scene) -> None:
    shop.sql("DROP INDEX orders_user_id_idx")
    spec(shop, delete("keep"))

    told = {hazard.code: hazard.what for hazard in shop.runner().plan(shop.migration()).hazards}

    assert "public.orders" in told["unindexed-foreign-key"]
    assert "public.users" in told["deletes-rows"]


def test_foreign_keys_in_a_circle_are_refused_by_name(shop: Scene) -> None:
    shop.sql("ALTER TABLE users ADD last int REFERENCES orders")

    (problem,) = refusal(shop, delete("delete"))

    assert problem.what == "foreign key users_last_fkey of public.users leads back to a table on the way"
