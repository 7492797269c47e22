"""deduplicate_rows: duplicates become one row, at which points what pointed at them, and new ones are kept out."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any, Literal

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, seen int, above int REFERENCES users);
CREATE INDEX ON users (above);
CREATE TABLE orders (id int PRIMARY KEY, buyer int REFERENCES users ON DELETE CASCADE, seller int REFERENCES users);
CREATE INDEX ON orders (buyer);
CREATE INDEX ON orders (seller);
CREATE TABLE members (user_id int REFERENCES users, team int, role text, PRIMARY KEY (user_id, team));
INSERT INTO users (email, seen) SELECT 'E' || i % 10, i FROM generate_series(1, 30) AS i;
INSERT INTO users (email, seen) VALUES (NULL, 1), (NULL, 2), ('alone', 3);
UPDATE users SET above = id - 1 WHERE id > 1;
INSERT INTO orders SELECT i, i % 30 + 1, (i * 7) % 30 + 1 FROM generate_series(1, 60) AS i;
INSERT INTO members SELECT i, i % 2, 'r' || i FROM generate_series(1, 24) AS i"""
BY_EMAIL = "deduplicate_rows: {table: users, by: [lower(email)], keep: seen DESC, conflicts: CONFLICTS}"
UNIQUE = "create_index: {table: users, name: users_email, columns: [{expression: lower(email)}], unique: true}"
T = "CREATE TABLE t (id int PRIMARY KEY, a int);"
KEPT = [*range(21, 31), 31, 32, 33]


@pytest.fixture
def shop(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    return scene


def merge(conflicts: Literal["refuse", "delete"] = "delete") -> str:
    return BY_EMAIL.replace("CONFLICTS", conflicts)


def kept(user: int | None) -> int | None:
    return None if user is None else user if user > 20 else user % 10 + (20 if user % 10 else 30)


def test_one_row_of_each_is_kept_and_everything_points_at_it(shop: Scene) -> None:
    orders = shop.sql("SELECT id, buyer, seller FROM orders ORDER BY id")
    spec(shop, merge(), UNIQUE)

    assert shop.up().ended == "complete"

    assert [user for (user,) in shop.sql("SELECT id FROM users ORDER BY id")] == KEPT
    assert shop.sql("SELECT id, buyer, seller FROM orders ORDER BY id") == [(i, kept(b), kept(s)) for i, b, s in orders]
    assert shop.sql("SELECT id, above FROM users WHERE id > 20 ORDER BY id") == [(i, kept(i - 1)) for i in KEPT]
    assert shop.own_objects() == []


def test_of_two_children_of_which_only_one_may_be_the_kept_rows_own_stays(shop: Scene) -> None:
    spec(shop, merge())

    shop.up()

    assert shop.sql("SELECT user_id, team, role FROM members ORDER BY 1, 2") == [
        (21, 1, "r21"),
        (22, 0, "r22"),
        (23, 1, "r23"),
        (24, 0, "r24"),
        (25, 1, "r5"),
        (26, 0, "r6"),
        (27, 1, "r7"),
        (28, 0, "r8"),
        (29, 1, "r9"),
        (30, 0, "r10"),
    ]


def test_rows_with_such_children_are_not_merged_unless_the_spec_says_so(shop: Scene) -> None:
    spec(shop, merge("refuse"))

    with pytest.raises(StepRefused, match=r"^14 rows of public.members whose like the kept row has too"):
        shop.up()
    shop.sql("DELETE FROM members")

    assert shop.up().ended == "complete"
    assert shop.one("SELECT count(*) FROM users") == len(KEPT)


@pytest.mark.parametrize("through", ["backfill", "validate", None])
def test_undo_brings_back_every_row_and_what_pointed_at_it(shop: Scene, through: str | None) -> None:
    before = shop.schema(), rows(shop)
    spec(shop, merge(), UNIQUE)

    shop.up(through=through)
    shop.rollback()

    assert (shop.schema(), rows(shop)) == before


def test_undo_leaves_what_was_pointed_elsewhere_since(shop: Scene) -> None:
    spec(shop, merge())
    shop.up()
    shop.sql("UPDATE orders SET buyer = 33 WHERE id = 1; INSERT INTO orders VALUES (61, 21, 21)")

    shop.rollback()

    assert shop.sql("SELECT id, buyer, seller FROM orders WHERE id IN (1, 2, 61) ORDER BY id") == [
        (1, 33, 8),
        (2, 3, 15),
        (61, 21, 21),
    ]


def test_a_row_that_is_no_duplicate_any_more_is_left_alone(shop: Scene) -> None:
    spec(shop, merge())
    shop.sql("DELETE FROM members; UPDATE users SET email = 'other' WHERE id = 5")

    shop.up()

    assert shop.one("SELECT email FROM users WHERE id = 5") == "other"
    assert shop.one("SELECT count(*) FROM orders WHERE 5 IN (buyer, seller)") > 0


def test_what_came_between_backfill_and_validate_is_merged_too_and_from_then_on_refused(shop: Scene) -> None:
    spec(shop, merge(), UNIQUE)
    shop.up(through="backfill")
    shop.sql("INSERT INTO users (email, seen) VALUES ('e1', 100), ('New', 1), ('new', 2)")

    shop.up(through="validate")

    assert shop.one("SELECT count(*) FROM users WHERE lower(email) IN ('e1', 'new')") == 2
    with pytest.raises(psycopg.errors.UniqueViolation):
        shop.sql("INSERT INTO users (email) VALUES ('NEW')")
    assert shop.up().ended == "complete"


def test_until_rules_bind_no_duplicate_is_refused_and_then_its_writer_is_told_by_whom(shop: Scene) -> None:
    spec(shop, merge(), more="enforce: contract\n")
    shop.up(through="backfill")
    shop.sql("INSERT INTO users (email) VALUES ('e1')")

    shop.up(through="tighten")

    with pytest.raises(psycopg.errors.UniqueViolation, match="migration m"):
        shop.sql("INSERT INTO users (email) VALUES ('E1')")
    with pytest.raises(psycopg.errors.UniqueViolation, match="migration m"):
        shop.sql("UPDATE users SET email = 'e2' WHERE id = 33")
    shop.sql("UPDATE users SET email = lower(email), seen = 0; INSERT INTO users (email) VALUES (NULL)")
    assert shop.up().ended == "complete"


def test_the_unique_index_is_built_though_duplicates_arrive_all_the_while(shop: Scene) -> None:
    shop.sql(
        "INSERT INTO users (email, seen) SELECT 'x' || i % 300, i FROM generate_series(1, 900) AS i;"
        "CREATE SEQUENCE made START 1000"
    )
    refused = 0

    def sign_up(connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        nonlocal refused
        try:
            connection.execute("INSERT INTO users (email, seen) VALUES (%s, 0)", (f"x{dice.randint(0, 900)}",))
        except psycopg.errors.UniqueViolation:
            refused += 1

    def order(connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        with suppress(psycopg.errors.ForeignKeyViolation):
            user = dice.randint(40, 900)
            connection.execute("INSERT INTO orders VALUES (nextval('made'), %s, NULL)", (user,))

    spec(shop, merge(), UNIQUE, more="backfill: {target: 20ms}\n")
    with Writers(shop.connect, sign_up, sign_up, order) as writers:
        shop.up(through="backfill")
        assert refused == 0
        shop.up(through="validate")

    assert writers.failures == []
    assert shop.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_email'::regclass") is True
    assert shop.one("SELECT count(*) FROM orders WHERE id >= 1000") <= shop.one("SELECT last_value FROM made") - 999
    assert shop.up().ended == "complete"


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_killed_at_any_commit_and_run_again_nothing_is_lost(shop: Scene, point: str) -> None:
    before = shop.schema(), rows(shop)
    spec(shop, merge(), UNIQUE)

    kills = run_until_complete(shop, [f"{point}:{count}" for count in (9, 22)])
    assert shop.one("SELECT count(*) FROM users") == len(KEPT)
    kills += run_until_complete(shop, [f"{point}:{count}" for count in (12,)], act="rollback")

    assert kills >= 2
    assert (shop.schema(), rows(shop)) == before


def test_user_triggers_do_not_fire(shop: Scene) -> None:
    shop.sql(
        "CREATE TABLE fired (op text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO fired VALUES (tg_op); RETURN NULL; END $$;"
        "CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION note()"
    )
    before = rows(shop)
    spec(shop, merge())

    shop.up()
    shop.rollback()

    assert rows(shop) == before


def test_children_whose_updates_are_published_without_an_identity_are_refused_when_planning(shop: Scene) -> None:
    shop.sql("ALTER TABLE orders REPLICA IDENTITY NOTHING; CREATE PUBLICATION p FOR TABLE orders")

    (problem,) = refusal(shop, merge())

    assert problem.what.startswith("public.orders has no replica identity")


@pytest.mark.parametrize(
    ("schema", "change", "what"),
    [
        ("CREATE TABLE t (a int)", "deduplicate_rows: {table: t, by: [a]}", "public.t has no primary key"),
        (
            T + "CREATE TABLE c (t int REFERENCES t)",
            "deduplicate_rows: {table: t, by: [a]}",
            "public.c has no primary key",
        ),
        (
            T
            + "CREATE TABLE c (id int PRIMARY KEY, t int REFERENCES t); CREATE UNIQUE INDEX few ON c (t) WHERE id > 0",
            "deduplicate_rows: {table: t, by: [a]}",
            "unique index few of public.c holds t",
        ),
        (
            T + "CREATE TABLE c (id int PRIMARY KEY, t int UNIQUE REFERENCES t); CREATE TABLE d (c int REFERENCES c)",
            "deduplicate_rows: {table: t, by: [a], conflicts: delete}",
            "rows of public.d point at rows of public.c",
        ),
        (T, "deduplicate_rows: {table: t, by: ['a + random()']}", "`a + random()` may give another value"),
        (
            "CREATE TABLE t (id int PRIMARY KEY, a int) PARTITION BY RANGE (id)",
            "deduplicate_rows: {table: t, by: [a]}",
            "public.t is partitioned",
        ),
    ],
)
def test_what_could_not_be_merged_or_brought_back_is_refused_when_planning(
    scene: Scene, schema: str, change: str, what: str
) -> None:
    scene.sql(schema)

    (problem,) = refusal(scene, change)

    assert problem.what.startswith(what)
    assert problem.fix
