"""Rules that rows did not keep so far."""

from __future__ import annotations

import pytest
from tests.examples.example import Example, live
from tests.scene import Scene

EXAMPLES = [
    Example(
        "orders_refer_to_customers",
        """
        CREATE TABLE customers (id bigint PRIMARY KEY, name text);
        INSERT INTO customers SELECT i, 'Customer ' || i FROM generate_series(1, :rows) AS i WHERE i % 100 > 0;
        CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0);
        INSERT INTO orders SELECT i, i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO orders VALUES (%(n)s, NULL, 1)",
            "UPDATE orders SET total = total + 1 WHERE id = %(id)s",
            "UPDATE orders SET customer_id = (%(id)s - 1) / 100 * 100 + 1 WHERE id = %(id)s",
        ],
        new=["UPDATE orders SET customer_id = (SELECT max(id) FROM customers WHERE id <= %(id)s) WHERE id = %(id)s"],
        old_until=None,
        holds=[
            """
            SELECT bool_and(customer_id IS NULL OR EXISTS (SELECT FROM customers WHERE customers.id = customer_id))
              FROM orders""",
            "SELECT convalidated FROM pg_constraint WHERE conname = 'orders_customer_id_fkey'",
        ],
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_nobody_notices_and_nothing_is_lost(scene: Scene, example: Example) -> None:
    assert live(scene, example).failures == ()
