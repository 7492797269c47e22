"""update_rows by group: all rows of a group are set at once, by what all of them say, beside who writes them."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec, whole_way
from tests.execute.test_kills import POINTS, run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE orders (id int PRIMARY KEY, customer int, total int NOT NULL, state text, number int, share numeric(6, 3));
CREATE INDEX ON orders (customer);
INSERT INTO orders SELECT i, nullif(i % 4, 0), i, '1' FROM generate_series(1, 12) AS i"""
SET = 'number: "row_number() OVER (ORDER BY total DESC)", share: "total::numeric / sum(total) OVER ()"'
RANKED = f"update_rows: {{table: orders, group_by: customer, set: {{{SET}}}}}"
WRONG = """
SELECT count(*) FROM (
  SELECT number, share, row_number() OVER (PARTITION BY customer ORDER BY total DESC) AS n,
         round(total::numeric / sum(total) OVER (PARTITION BY customer), 3) AS s
    FROM orders WHERE customer IS NOT NULL) AS asked WHERE (number, share) IS DISTINCT FROM (n, s)"""


def test_each_row_gets_its_rank_and_share_within_its_group_and_back(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, RANKED)

    assert lived.scene.one(WRONG) == 0
    assert lived.scene.sql("SELECT count(*) FROM orders WHERE number IS NOT NULL") == [(9,)]
    assert lived.scene.sql("SELECT number, share::float FROM orders WHERE id = 9") == [(1, 0.6)]

    lived.scene.rollback()
    assert lived.scene.one("SELECT count(*) FROM orders WHERE number IS NOT NULL OR share IS NOT NULL") == 0


def test_rows_that_do_not_match_count_for_nothing(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, RANKED.replace("group_by", "where: id < 9, group_by"))

    scene.up()

    assert scene.sql("SELECT id, number FROM orders WHERE customer = 1 ORDER BY id") == [(1, 2), (5, 1), (9, None)]


def test_a_group_is_never_torn_apart_by_those_who_write_its_rows(scene: Scene) -> None:
    """Who changes a total once its group is ranked ranks it again: an application that knows the numbers."""
    scene.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, total int NOT NULL, number int,"
        " share numeric(6, 3)); CREATE INDEX ON orders (customer);"
        "INSERT INTO orders SELECT i, i % 100, i % 37 FROM generate_series(1, 2000) AS i"
    )
    ranked = SET.replace("total DESC", "total DESC, id")
    spec(
        scene,
        f"update_rows: {{table: orders, group_by: [customer], set: {{{ranked}}}}}",
        more="backfill: {target: 20ms}\n",
    )
    again = """
UPDATE orders AS o SET number = r.n, share = r.s
  FROM (SELECT id, row_number() OVER (ORDER BY total DESC, id) AS n, total::numeric / sum(total) OVER () AS s
          FROM orders WHERE customer = %(c)s) AS r
 WHERE o.id = r.id AND o.number IS NOT NULL"""

    def order(connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        customer = dice.randrange(100)
        chosen = (customer or 100) + 100 * dice.randrange(20)
        with connection.transaction():
            connection.execute("SELECT FROM orders WHERE customer = %s ORDER BY id FOR UPDATE", (customer,))
            connection.execute("UPDATE orders SET total = %s WHERE id = %s", (dice.randint(1, 99), chosen))
            connection.execute(again, {"c": customer})

    with Writers(scene.connect, order, order) as writers:
        assert scene.up().ended == "complete"

    assert writers.failures == []
    assert writers.statements > 0
    assert scene.one(WRONG.replace("total DESC", "total DESC, id")) == 0


def test_a_group_with_a_value_that_cannot_be_set_is_a_conflict_until_it_is_mended(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql("UPDATE orders SET state = 'x' WHERE id = 5")
    spec(
        scene,
        'update_rows: {table: orders, group_by: customer, set: {number: "sum(state::int) OVER ()"}}',
    )

    with pytest.raises(StepRefused, match=r"^1 groups whose rows could not be set"):
        scene.up()
    assert [(c.key, c.sqlstate) for c in scene.ledger().conflicts("m")] == [({"customer": 1}, "22P02")]
    assert scene.sql("SELECT DISTINCT customer, number FROM orders WHERE customer > 0 ORDER BY 1") == [
        (1, None),
        (2, 3),
        (3, 3),
    ]

    scene.sql("UPDATE orders SET state = '4' WHERE id = 5")
    assert scene.up().ended == "complete"
    assert scene.one("SELECT DISTINCT number FROM orders WHERE customer = 1") == 6


def test_a_runner_that_is_killed_sets_each_group_once(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, 'update_rows: {table: orders, group_by: customer, set: {total: "total + count(*) OVER ()"}}')

    kills = run_until_complete(scene, [f"{point}:{count}" for point in POINTS for count in (2, 3)])

    assert kills >= 4
    assert scene.one("SELECT sum(total - id) FROM orders") == 27


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (RANKED.replace("customer", "state"), r"no index of public\.orders begins with state"),
        (RANKED.replace("group_by: customer", "group_by: number"), "number tells the groups .* and is set"),
        (RANKED.replace("sum(total) OVER ()", "sum(total)"), "must appear in the GROUP BY clause"),
        (RANKED.replace("customer", "nothing"), "nothing"),
        (RANKED.replace("group_by: customer, ", ""), "window functions are not allowed"),
    ],
)
def test_it_is_refused_where_groups_cannot_be_had(scene: Scene, change: str, said: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, change)

    with pytest.raises(Refused, match=said):
        scene.up()
