"""replace_key under programs of both versions that go on writing, and under runners that are killed."""

from __future__ import annotations

import random
from itertools import count
from typing import Any

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.changes.test_replace_key import DROP, KEEP, ORDERS, PEOPLE, SOON
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Write, Writers
from tests.scene import Scene

# Every row that refers says in a word which one it means.
WRONG = """
SELECT (SELECT count(*) FROM lines LEFT JOIN orders AS o ON o.id = order_id WHERE note IS DISTINCT FROM what),
       (SELECT count(*) FROM parcels LEFT JOIN orders AS o ON o.id = order_id WHERE note IS DISTINCT FROM what),
       (SELECT count(*) FROM refunds JOIN orders AS o ON o.id = order_id WHERE note <> why)"""

FRESH = count(10**6)  # ids that nobody has drawn before


def old(app: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
    """Knows orders by country and number, changes that, and inserts parcels before the order they are of."""
    fresh, word = next(FRESH), f"old {dice.random()}"
    with app.transaction():
        app.execute("INSERT INTO parcels VALUES ('DK', %s, 1, %s)", (fresh, word))
        app.execute("INSERT INTO orders VALUES ('DK', %s, %s)", (fresh, word))
        app.execute("INSERT INTO lines (country, number, place, what) VALUES ('DK', %s, 1, %s)", (fresh, word))
        app.execute("INSERT INTO refunds VALUES (%s, 'DK', %s, %s)", (2000 + fresh, fresh, word))
    app.execute("UPDATE orders SET country = 'FI' WHERE country = 'DK' AND number = %s", (fresh,))
    assert app.execute("SELECT what FROM lines WHERE country = 'FI' AND number = %s", (fresh,)).fetchone() == (word,)
    if dice.random() < 0.3:
        app.execute("DELETE FROM orders WHERE country = 'FI' AND number = %s", (fresh,))
    seed = dice.randrange(1, 201)
    app.execute(
        "UPDATE refunds AS r SET country = o.country, number = o.number, why = o.note FROM orders AS o"
        " WHERE r.id = 1000 AND o.number = %s",
        (seed,),
    )


def new(app: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
    """Knows orders by their id."""
    fresh, word = next(FRESH), f"new {dice.random()}"
    with app.transaction():
        row = app.execute("INSERT INTO orders VALUES ('DE', %s, %s) RETURNING id", (fresh, word)).fetchone()
        assert row is not None
        app.execute("INSERT INTO lines (order_id, place, what) VALUES (%s, 1, %s)", (*row, word))
        app.execute("INSERT INTO refunds (id, order_id, why) VALUES (%s, %s, %s)", (2 * 10**8 + fresh, *row, word))
        app.execute("INSERT INTO parcels VALUES ('DE', %s, 1, %s, %s)", (fresh, word, *row))
    app.execute(
        "UPDATE refunds AS r SET order_id = o.id, why = o.note FROM orders AS o"
        " WHERE r.id = 1001 AND o.number = %s AND o.id IS NOT NULL",
        (dice.randrange(1, 201),),
    )
    if dice.random() < 0.3:
        app.execute("DELETE FROM orders WHERE id = %s", row)


def writers(scene: Scene, *writes: Write) -> Writers:
    return Writers(scene.connect, *writes, pause=0.01)


def test_nobody_fails_while_it_goes_all_the_way(scene: Scene) -> None:
    scene.sql(ORDERS)
    spec(scene, KEEP)

    with writers(scene, old, old) as olds:
        scene.up(through="expand")
        with writers(scene, new, new) as news:
            assert scene.up(through="cutover").ended == "reached"
            olds.__exit__()
            assert scene.up().ended == "complete"

    assert (olds.failures, news.failures) == ([], [])
    assert scene.sql(WRONG) == [(0, 0, 0)]
    assert scene.own_objects() == []


@pytest.mark.parametrize("through", ["validate", "cutover"])
def test_nobody_fails_while_it_is_taken_back(scene: Scene, through: str) -> None:
    scene.sql(ORDERS)
    spec(scene, KEEP)
    before = scene.schema()

    with writers(scene, old, old) as olds:
        scene.up(through="expand")
        with writers(scene, new, new) as news:
            scene.up(through=through)
        assert scene.rollback().ended == "undone"

    assert (olds.failures, news.failures) == ([], [])
    assert scene.schema() == before
    assert scene.one("SELECT count(*) FROM lines NATURAL JOIN orders WHERE note <> what") == 0


def test_a_row_of_a_transaction_that_outlasts_the_walk_is_gathered(scene: Scene) -> None:
    scene.sql(ORDERS)
    spec(scene, KEEP)
    scene.up(through="expand")
    with scene.connect() as app:
        app.execute("BEGIN")
        app.execute("INSERT INTO lines (country, number, place, what) VALUES ('SE', 5, 3, 'N5')")
        scene.up(through="backfill")
        app.execute("COMMIT")

    assert scene.one("SELECT order_id FROM lines WHERE place = 3") is None
    assert scene.up().ended == "complete"

    assert scene.sql(WRONG) == [(0, 0, 0)]


def test_a_runner_killed_again_and_again_ends_as_an_undisturbed_one(scene: Scene) -> None:
    scene.sql(PEOPLE)
    spec(scene, DROP % "bigint", more=SOON)
    before = scene.sql("SELECT sender, receiver FROM chats ORDER BY id")

    kills = run_until_complete(scene, [f"any:{count}" for count in (23, 61, 47, 83, 35, 71, 97, 55, 79, 41)])

    assert kills >= 5
    numbered = "SELECT s.name, r.name FROM chats AS c JOIN people AS s ON s.number = sender_number"
    held = scene.sql(f"{numbered} LEFT JOIN people AS r ON r.number = receiver_number ORDER BY c.id")
    assert held == [(f"P{sender}", f"P{receiver}" if receiver else None) for sender, receiver in before]
    assert scene.own_objects() == []


def test_a_rollback_killed_again_and_again_leaves_all_as_it_was(scene: Scene) -> None:
    scene.sql(PEOPLE)
    spec(scene, DROP % "bigint")
    before = scene.schema(), rows(scene)
    scene.up(through="archive")

    kills = run_until_complete(scene, [f"any:{count}" for count in (19, 37, 53, 29, 67, 43)], act="rollback")

    assert kills >= 3
    assert (scene.schema(), rows(scene)) == before
