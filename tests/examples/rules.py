"""Rules that rows did not keep so far, and indexes."""

from __future__ import annotations

from tests.examples.example import Example

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
    Example(
        "totals_are_positive",
        """
        CREATE TABLE orders (id bigint PRIMARY KEY, total int NOT NULL);
        INSERT INTO orders SELECT i, i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO orders VALUES (%(n)s, 1)",
            "UPDATE orders SET total = total + 1 WHERE id = %(id)s",
        ],
        new=[
            "UPDATE orders SET total = 0 WHERE id = %(id)s",
        ],
        old_until=None,
        holds=[
            "SELECT convalidated FROM pg_constraint WHERE conname = 'orders_total_positive'",
        ],
    ),
    Example(
        "one_sku_per_tenant",
        """
        CREATE TABLE products (id bigint PRIMARY KEY, tenant_id int NOT NULL, sku text NOT NULL);
        INSERT INTO products SELECT i, i % 7, 'S' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO products VALUES (%(n)s, 1, 'N' || %(n)s)",
            "UPDATE products SET sku = 'M' || %(n)s WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO products VALUES (%(n)s, 2, 'N' || %(n)s)",
        ],
        old_until=None,
        holds=[
            """
            SELECT count(*) = 1 FROM pg_constraint WHERE conname = 'products_tenant_sku_key' AND contype = 'u'""",
        ],
    ),
    Example(
        "indexes_for_open_orders",
        """
        CREATE TABLE orders (id bigint PRIMARY KEY, state text, placed_at timestamptz, total int, reference text);
        INSERT INTO orders SELECT i, 'open', now(), i, 'R' || i FROM generate_series(1, :rows) AS i;
        CREATE INDEX orders_state ON orders (state);
        """,
        old=[
            "INSERT INTO orders VALUES (%(n)s, 'open', now(), 1, %(word)s)",
            "UPDATE orders SET state = 'paid' WHERE id = %(id)s",
        ],
        new=[
            "SELECT total FROM orders WHERE lower(reference) = 'r' || %(id)s",
        ],
        old_until=None,
        holds=[
            "SELECT bool_and(indisvalid) AND count(*) = 3 FROM pg_index WHERE indrelid = 'orders'::regclass",
            "SELECT to_regclass('orders_state') IS NULL",
        ],
    ),
]
