"""deduplicate_rows with `set`: the kept row gets what all rows of its set say, in the moment when the others go."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.changes.refusing import refusal
from tests.execute.test_kills import POINTS, run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused
from crossfade.spec.fragment import trusted

SCHEMA = """
CREATE TYPE state AS ENUM ('single', 'merged');
CREATE TABLE users (
  id int PRIMARY KEY, email text NOT NULL, visits int NOT NULL CHECK (visits < 1000), phone text UNIQUE, seen int,
  state state NOT NULL DEFAULT 'single', names text[], above int REFERENCES users);
CREATE INDEX ON users (above);
CREATE TABLE orders (id int PRIMARY KEY, buyer int REFERENCES users);
CREATE INDEX ON orders (buyer);
CREATE TABLE members (user_id int REFERENCES users, team int, PRIMARY KEY (user_id, team));
INSERT INTO users SELECT i, 'E' || i % 10, i, CASE WHEN i <= 20 THEN 'p' || i END, i, 'single', ARRAY['n' || i]
  FROM generate_series(1, 30) AS i;
UPDATE users SET above = id - 1 WHERE id > 1;
INSERT INTO orders SELECT i, i % 30 + 1 FROM generate_series(1, 60) AS i"""
SET = {
    "visits": "sum(visits)",
    "phone": "(array_agg(phone ORDER BY seen) FILTER (WHERE phone IS NOT NULL))[1]",
    "seen": "max(seen)",
    "state": "'merged'",
    "names": "array_agg(names[1])",
}
BY_EMAIL = f"deduplicate_rows: {{table: users, by: [lower(email)], keep: seen DESC, set: {SET}}}"
UNIQUE = "create_index: {table: users, name: users_email, columns: [{expression: lower(email)}], unique: true}"
MERGED = "SELECT id, visits, phone, seen, state::text, names, above FROM users ORDER BY id"
TOTAL = [
    (i + 20, 3 * i + 30, f"p{i}", i + 20, "merged", [f"n{i + 20}", f"n{i + 10}", f"n{i}"], 30 if i == 1 else i + 19)
    for i in range(1, 11)
]


def unknown(scene: Scene) -> list[int]:
    return [event.body["rows"] for event in scene.ledger().events("m") if event.kind == "rows not known"]


def once_found(scene: Scene, statements: str) -> None:
    """Done by somebody when the duplicates are listed, and none of them is merged."""
    scene.sql(
        "CREATE FUNCTION other() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF EXISTS (SELECT FROM pg_class WHERE relname LIKE '%\\_pairs\\_%') THEN {statements}; END IF; END $$;"
        "CREATE EVENT TRIGGER other ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION other()"
    )


@pytest.fixture
def shop(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    return scene


def test_the_kept_row_gets_what_all_of_them_say_in_the_order_of_keep(shop: Scene) -> None:
    spec(shop, BY_EMAIL, UNIQUE)

    assert shop.up().ended == "complete"

    assert shop.sql(MERGED) == TOTAL
    assert shop.sql("SELECT DISTINCT buyer > 20 FROM orders") == [(True,)]
    assert shop.own_objects() == []


def test_one_aggregate_with_an_order_of_its_own_does_not_sort_the_rows_for_another(shop: Scene) -> None:
    mixed = {"names": "array_agg(names[1] ORDER BY id) || array_agg(names[1])"}
    spec(shop, f"deduplicate_rows: {{table: users, by: [email], keep: [id % 20, id], set: {mixed}}}")

    shop.up()

    assert shop.one("SELECT names FROM users WHERE email = 'E5'") == ["n5", "n15", "n25", "n5", "n25", "n15"]


@pytest.mark.parametrize("through", ["backfill", "validate", None])
def test_undo_brings_back_the_kept_rows_values_with_the_other_rows(shop: Scene, through: str | None) -> None:
    before = shop.schema(), rows(shop)
    spec(shop, BY_EMAIL, UNIQUE)

    shop.up(through=through)
    shop.rollback()

    assert (shop.schema(), rows(shop)) == before


def test_undo_leaves_a_kept_row_as_somebody_has_written_it_since_and_says_so(shop: Scene) -> None:
    spec(shop, BY_EMAIL.replace("'phone': ", "'seen': ").replace("'seen': 'max(seen)', ", "").replace("phone", "id"))
    shop.up()
    shop.sql("UPDATE users SET visits = visits + 1 WHERE id = 21; UPDATE users SET email = 'e' WHERE id = 22")

    shop.rollback()

    assert shop.sql("SELECT visits, state::text FROM users WHERE id IN (21, 22, 23) ORDER BY id") == [
        (34, "merged"),
        (22, "single"),
        (23, "single"),
    ]
    assert shop.one("SELECT count(*) FROM users") == 30
    assert unknown(shop) == [1]


def test_a_merged_row_of_which_the_kept_one_has_what_only_one_may_have_is_not_lost(shop: Scene) -> None:
    """Told as the kept one is, of which somebody has written another value since."""
    spec(shop, BY_EMAIL)
    shop.up()
    shop.sql("UPDATE users SET visits = 0 WHERE id = 21")

    shop.rollback()

    assert shop.sql("SELECT id, phone FROM users WHERE lower(email) = 'e1' ORDER BY id") == [(11, "p11"), (21, "p1")]
    assert unknown(shop) == [1, 1]


def test_what_came_in_between_is_combined_with_what_was_combined_before_and_what_was_written_since(
    shop: Scene,
) -> None:
    spec(shop, BY_EMAIL, UNIQUE)
    shop.up(through="backfill")
    shop.sql(
        "UPDATE users SET visits = visits + 1 WHERE id = 21; INSERT INTO users VALUES (31, 'e1', 100, 'x', 0),"
        " (32, 'e2', 200, 'y', 99), (33, 'New', 1, NULL, 1), (34, 'new', 2, NULL, 2)"
    )
    before = rows(shop)

    shop.up(through="validate")

    assert shop.sql("SELECT id, visits, phone FROM users WHERE id NOT BETWEEN 23 AND 30 ORDER BY id") == [
        (21, 134, "x"),
        (32, 236, "p2"),
        (34, 3, None),
    ]
    shop.rollback(to="backfill")
    assert rows(shop) == before


def test_a_row_that_is_no_duplicate_any_more_counts_for_nothing(shop: Scene) -> None:
    spec(shop, BY_EMAIL)
    shop.up(through="expand")
    once_found(shop, "UPDATE users SET email = 'other' WHERE id = 5; UPDATE users SET seen = 100 WHERE id = 6")

    shop.up(through="backfill")

    assert shop.sql("SELECT id, visits, names FROM users WHERE id IN (5, 25, 26) ORDER BY id") == [
        (5, 5, ["n5"]),
        (25, 40, ["n25", "n15"]),
        (26, 48, ["n26", "n6", "n16"]),
    ]


def test_a_row_that_comes_to_be_a_duplicate_again_is_combined_later_and_taken_back_to_what_was_written(
    shop: Scene,
) -> None:
    spec(shop, "deduplicate_rows: {table: users, by: [email], keep: seen DESC, set: {visits: sum(visits)}}")
    once_found(shop, "UPDATE users SET email = 'other' WHERE id IN (5, 7); UPDATE users SET visits = 999 WHERE id = 6")
    with pytest.raises(StepRefused):
        shop.up()
    shop.sql(
        "DROP EVENT TRIGGER other; UPDATE users SET email = 'E' || id WHERE id IN (5, 7);"
        "UPDATE users SET visits = 6 WHERE id = 6; UPDATE users SET visits = visits + 1 WHERE id = 25"
    )

    shop.up(through="backfill")
    assert shop.sql("SELECT id, visits FROM users WHERE id IN (25, 26, 27) ORDER BY id") == [
        (25, 46),
        (26, 48),
        (27, 51),
    ]
    shop.rollback()

    assert shop.sql("SELECT id, visits FROM users WHERE id IN (5, 6, 7, 15, 25, 26, 27) ORDER BY id") == [
        (5, 5),
        (6, 6),
        (7, 7),
        (15, 15),
        (25, 41),
        (26, 26),
        (27, 27),
    ]


def test_a_set_of_which_somebody_holds_a_row_waits_as_a_whole(shop: Scene) -> None:
    """And so does that of the row at which the held one points."""
    spec(shop, BY_EMAIL, more="locks: {timeout: 200ms, budget: 1s}\n")

    with shop.connect() as other, other.transaction():
        other.execute("UPDATE users SET visits = visits + 1 WHERE id = 5")
        with pytest.raises(StepRefused, match=r"^merge the duplicates in public.users, and .*: 2 rows are held"):
            shop.up()
        assert shop.one("SELECT count(*) FROM users") == 14
        assert shop.one("SELECT sum(visits) FROM users WHERE email = 'E5'") == 45
        assert shop.one("SELECT count(*) FROM orders WHERE buyer = 15") == 2

    assert shop.up().ended == "complete"
    assert shop.one("SELECT visits FROM users WHERE id = 25") == 46


def test_what_pointed_at_a_row_that_came_back_waits_unlocked_while_somebody_holds_that_row(shop: Scene) -> None:
    spec(shop, BY_EMAIL, more="locks: {timeout: 200ms, budget: 1s}\n")
    shop.up()

    held = r"^point rows of public.orders at .* are back: {} rows are held"
    for locked, rows_held in (("orders WHERE id IN (14, 44)", 2), ("users WHERE id = 15", 2)):
        with shop.connect() as other, other.transaction():
            other.execute(trusted(f"SELECT FROM {locked} FOR UPDATE"))
            with pytest.raises(StepRefused, match=held.format(rows_held)):
                shop.rollback()

    assert shop.rollback().ended == "undone"
    assert shop.one("SELECT count(*) FROM orders WHERE buyer = 15") == 2


def test_nobody_ever_sees_a_sum_that_is_not_right_nor_loses_an_increment(scene: Scene) -> None:
    """Old and new versions move counters, sign up again, and point at what is there."""
    scene.sql(
        "CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, visits int NOT NULL);"
        "CREATE INDEX ON users (email);"
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, buyer bigint REFERENCES users);"
        "CREATE INDEX ON orders (buyer);"
        "CREATE TABLE counted (visits int NOT NULL);"
        "INSERT INTO users (email, visits) SELECT 'u' || i % 400, 1 FROM generate_series(1, 2000) AS i;"
        "INSERT INTO orders (buyer) SELECT id FROM users; INSERT INTO counted VALUES (2000)"
    )
    spec(
        scene,
        "deduplicate_rows: {table: users, by: [email], set: {visits: sum(visits)}, new_duplicates: merge}",
        more="backfill: {target: 20ms, workers: 2}\n",
    )
    wrong: list[object] = []

    def by_id(connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        first = dice.randint(1, 1990)
        with connection.transaction():
            connection.execute(
                "WITH mine AS (SELECT id FROM users WHERE id BETWEEN %s AND %s ORDER BY id FOR UPDATE),"
                " seen AS (UPDATE users SET visits = visits + 1 FROM mine WHERE users.id = mine.id RETURNING 1)"
                " INSERT INTO counted SELECT 1 FROM seen",
                (first, first + 10),
            )
            connection.execute("SELECT pg_sleep(0.02)")

    def by_email(connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        connection.execute(
            "WITH seen AS (UPDATE users SET visits = visits + 1 WHERE id ="
            " (SELECT min(id) FROM users WHERE email = %s) RETURNING 1)"
            " INSERT INTO counted SELECT 1 FROM seen",
            (f"u{dice.randrange(400)}",),
        )

    def again(connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        connection.execute(
            "WITH made AS (INSERT INTO users (email, visits) VALUES (%s, 1)) INSERT INTO counted VALUES (1)",
            (f"u{dice.randrange(400)}",),
        )

    def order(connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        connection.execute(
            "INSERT INTO orders (buyer) SELECT id FROM users WHERE email = %s FOR KEY SHARE LIMIT 1",
            (f"u{dice.randrange(400)}",),
        )

    def look(connection: psycopg.Connection[Any], _dice: random.Random, _number: int) -> None:
        wrong.extend(
            connection.execute(
                "SELECT s, c FROM (SELECT sum(visits) FROM users) AS a (s), (SELECT sum(visits) FROM counted) AS b (c)"
                " WHERE s <> c"
            ).fetchall()
        )

    with Writers(scene.connect, by_id, by_id, by_email, again, order, look) as writers:
        assert scene.up().ended == "complete"

    assert writers.failures == []
    assert wrong == []
    assert scene.one("SELECT count(*) FROM users WHERE id <= 2000") == 400
    with Writers(scene.connect, by_id, by_email, order) as writers:
        scene.rollback()
    assert writers.failures == []
    assert scene.one("SELECT count(*) FROM users WHERE id <= 2000") == 2000


@pytest.mark.parametrize("point", [point for point in POINTS if "statement" not in point])
def test_killed_at_any_point_each_set_is_combined_once_and_taken_back_once(shop: Scene, point: str) -> None:
    shop.sql("INSERT INTO members SELECT i, i % 2 FROM generate_series(1, 24) AS i")
    before = shop.schema(), rows(shop)
    spec(shop, BY_EMAIL.replace("set:", "conflicts: delete, set:"), UNIQUE)

    kills = run_until_complete(shop, [f"{point}:{count}" for count in (9, 8, 5, 3, 2)])
    assert shop.sql(MERGED) == TOTAL
    kills += run_until_complete(shop, [f"{point}:{count}" for count in (12, 3, 2, 2, 2)], act="rollback")

    assert kills >= 8
    assert (shop.schema(), rows(shop)) == before


def test_a_set_whose_values_the_kept_row_cannot_take_is_a_conflict_until_it_is_mended(shop: Scene) -> None:
    shop.sql("UPDATE users SET visits = 999 WHERE id = 5")
    spec(shop, BY_EMAIL)

    with pytest.raises(StepRefused, match=r"^1 sets of duplicates whose values could not be set"):
        shop.up()

    assert [(c.key, c.sqlstate) for c in shop.ledger().conflicts("m")] == [({"id": 25}, "23514")]
    assert shop.one("SELECT count(*) FROM users") == 12
    shop.sql("UPDATE users SET visits = 5 WHERE id = 5")
    assert shop.up().ended == "complete"
    assert shop.sql(MERGED) == TOTAL


@pytest.mark.parametrize("teams", ["(25, 1), (5, 1)", "(15, 1), (5, 1)"])
def test_a_set_with_rows_of_which_one_may_be_the_kept_rows_own_stays_as_a_whole(shop: Scene, teams: str) -> None:
    shop.sql(f"INSERT INTO members VALUES {teams}")
    spec(shop, BY_EMAIL)

    with pytest.raises(StepRefused, match=r"rows of public.members whose like the kept row has too"):
        shop.up()

    assert shop.one("SELECT count(*) FROM users") == 12
    assert shop.sql("SELECT visits FROM users WHERE email = 'E5' ORDER BY id") == [(5,), (15,), (25,)]
    shop.sql("DELETE FROM members WHERE user_id = 5")
    assert shop.up().ended == "complete"
    assert shop.sql(MERGED) == TOTAL


def test_rows_of_sets_that_point_at_one_another_in_a_circle_are_merged_in_many_batches(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE users (id int PRIMARY KEY, email text, visits int, above int REFERENCES users);"
        "CREATE INDEX ON users (above);"
        "INSERT INTO users SELECT i, 'E' || i % 2000, 1 FROM generate_series(1, 6000) AS i;"
        "UPDATE users SET above = (id * 7) % 6000 + 1"
    )
    before = rows(scene)
    spec(
        scene,
        "deduplicate_rows: {table: users, by: [email], set: {visits: sum(visits)}}",
        more="backfill: {target: 20ms, workers: 2}\n",
    )

    assert scene.up().ended == "complete"

    assert scene.sql("SELECT count(*), min(visits), max(visits), max(above) FROM users") == [(2000, 3, 3, 2000)]
    scene.rollback()
    assert rows(scene) == before


def test_a_row_at_which_more_rows_point_than_a_batch_takes_is_combined_once_when_all_are_moved(shop: Scene) -> None:
    shop.sql("INSERT INTO orders SELECT i, 5 FROM generate_series(61, 11000) AS i")
    spec(shop, BY_EMAIL)

    assert shop.up().ended == "complete"

    assert shop.sql(MERGED) == TOTAL
    assert shop.one("SELECT count(*) FROM orders WHERE buyer = 25") > 10_900


@pytest.mark.parametrize(("more", "visits"), [("", [33, 36]), ("backfill: {fire_triggers: true}\n", [7, 7])])
def test_what_a_trigger_makes_of_the_values_where_it_fires_is_taken_back_too(
    shop: Scene, more: str, visits: list[int]
) -> None:
    shop.sql(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.visits := 7; RETURN NEW; END $$;"
        "CREATE TRIGGER noted BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.state = 'merged') EXECUTE FUNCTION note()"
    )
    before = rows(shop)
    spec(shop, BY_EMAIL, more=more)

    shop.up()
    assert shop.sql("SELECT visits FROM users WHERE id IN (21, 22) ORDER BY id") == [(n,) for n in visits]
    shop.rollback()

    assert rows(shop) == before


def test_a_foreign_key_that_nothing_would_check_is_refused_when_planning(shop: Scene) -> None:
    shop.sql(
        "CREATE TABLE cities (id int PRIMARY KEY); ALTER TABLE users ADD city int REFERENCES cities;"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER noted AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION note();"
        "CREATE TRIGGER heard AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note()"
    )
    city = "deduplicate_rows: {table: users, by: [email], set: {city: max(city)}}"

    (problem,) = refusal(shop, city)
    assert problem.what == "city of public.users is in a foreign key, and trigger heard would fire"
    assert refusal(shop, city, more="backfill: {fire_triggers: true}\n") == ()


@pytest.mark.parametrize(
    ("given", "what", "at"),
    [
        ("{id: max(id)}", "id is in the key of public.users", "max(id)"),
        ("{email: min(email)}", "email tells which rows of public.users are duplicates, and is set", "min(email)"),
        ("{above: min(above)}", "above of public.users points at rows of public.users", "min(above)"),
        ("{visits: visits + 1}", "`visits + 1`: column", "visits + 1"),
        ("{visits: sum(visit)}", "`sum(visit)`: column", "sum(visit)"),
        ("{visits: min(phone)}", "set of visits gives text, the column wants integer", "min(phone)"),
        ("{visits: 'generate_series(1, 2)'}", "`generate_series(1, 2)`: set-returning", "'generate_series(1, 2)'"),
        ("{visit: sum(visits)}", "column visit does not exist in public.users", "sum(visits)"),
    ],
)
def test_what_the_kept_row_cannot_get_is_refused_when_planning_where_it_stands(
    shop: Scene, given: str, what: str, at: str
) -> None:
    change = f"deduplicate_rows: {{table: users, by: [lower(email)], set: {given}}}"

    (problem,) = refusal(shop, change)

    assert problem.what.startswith(what)
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (6, f"  - {change}".index(f": {at}") + 3)


def test_what_points_at_a_row_that_is_no_duplicate_any_more_holds_nothing_up(shop: Scene) -> None:
    shop.sql("INSERT INTO members VALUES (25, 1), (5, 1)")
    spec(shop, BY_EMAIL)
    once_found(shop, "UPDATE users SET email = 'other' WHERE id = 5")

    assert shop.up(through="backfill").ended == "reached"
    assert shop.one("SELECT visits FROM users WHERE id = 25") == 40
