"""Columns that become several, or one, or another."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "full_names",
        """
        CREATE TABLE people (id bigint PRIMARY KEY, first_name text NOT NULL, last_name text);
        INSERT INTO people SELECT i, 'Ada', 'Number' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO people VALUES (%(n)s, 'Grace', 'New')",
            "UPDATE people SET last_name = 'Moved' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO people (id, full_name) VALUES (%(n)s, 'Grace New')",
            "UPDATE people SET full_name = 'Ada Moved' WHERE id = %(id)s",
        ],
        holds=[
            "SELECT bool_and(full_name IN ('Grace New', 'Ada Moved', 'Ada Number' || id)) FROM people",
        ],
    ),
    Example(
        "addresses_in_parts",
        """
        CREATE TABLE warehouses (id bigint PRIMARY KEY, address text NOT NULL);
        INSERT INTO warehouses SELECT i, 'Main street ' || i || ', 0154 Oslo' FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO warehouses VALUES (%(n)s, 'Side street 1, 5003 Bergen')",
            "UPDATE warehouses SET address = 'Side street 2, 5003 Bergen' WHERE id = %(id)s",
        ],
        new=[
            """
            INSERT INTO warehouses (id, street, zip, city) VALUES (%(n)s, 'Side street 1', '5003', 'Bergen')""",
            "UPDATE warehouses SET zip = '5004' WHERE id = %(id)s",
        ],
        holds=[
            """
            SELECT bool_and((zip, city)
                   IN (('0154', 'Oslo'), ('5003', 'Bergen'), ('5004', 'Oslo'), ('5004', 'Bergen'))) FROM warehouses""",
        ],
    ),
    Example(
        "prices_in_minor_units",
        """
        CREATE TABLE products (id bigint PRIMARY KEY, price numeric(12, 2) NOT NULL);
        INSERT INTO products SELECT i, i + 0.25 FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO products VALUES (%(n)s, 12.50)",
            "UPDATE products SET price = 99.90 WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO products (id, price_minor) VALUES (%(n)s, 1250)",
            "UPDATE products SET price_minor = 9990 WHERE id = %(id)s",
        ],
        holds=[
            "SELECT bool_and(price_minor IN (1250, 9990, id * 100 + 25)) FROM products",
        ],
    ),
    Example(
        "joined_at",
        """
        CREATE TABLE memberships (id bigint PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), seen int);
        INSERT INTO memberships SELECT i, timestamptz '2024-01-01 00:00+00' FROM generate_series(1, :rows) AS i;
        CREATE INDEX memberships_created ON memberships (created_at);
        """,
        old=[
            "INSERT INTO memberships (id) VALUES (%(n)s)",
            "UPDATE memberships SET created_at = '2025-01-01 00:00+00' WHERE id = %(id)s",
            "UPDATE memberships SET seen = 1 WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO memberships (id) VALUES (%(n)s)",
            "UPDATE memberships SET joined_at = '2025-01-01 00:00+00' WHERE id = %(id)s",
        ],
        holds=[
            """
            SELECT bool_and(joined_at IN ('2024-01-01 00:00+00', '2025-01-01 00:00+00')) FROM memberships
                WHERE id <= :rows""",
            "SELECT pg_get_indexdef('memberships_created'::regclass) LIKE '%(joined_at)'",
        ],
    ),
    Example(
        "amounts_with_currency",
        """
        CREATE TABLE payments (id bigint PRIMARY KEY, amount text NOT NULL);
        INSERT INTO payments SELECT i, i || '.50 EUR' FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO payments VALUES (%(n)s, '12.50 NOK')",
            "UPDATE payments SET amount = '7.00 USD' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO payments (id, amount, currency) VALUES (%(n)s, 12.50, 'NOK')",
            "UPDATE payments SET amount = 7, currency = 'USD' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            """
            SELECT bool_and((amount, currency) IN ((12.5, 'NOK'), (7, 'USD'), (id + 0.5, 'EUR'))) FROM payments""",
        ],
    ),
    Example(
        "no_fax",
        """
        CREATE TABLE customers (id bigint PRIMARY KEY, name text, fax text NOT NULL);
        INSERT INTO customers SELECT i, 'Customer ' || i, '22' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO customers VALUES (%(n)s, %(word)s, '23')",
            "UPDATE customers SET fax = '24' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO customers (id, name) VALUES (%(n)s, %(word)s)",
            "UPDATE customers SET name = %(word)s WHERE id = %(id)s",
        ],
        holds=[
            """
            SELECT count(*) = 0 FROM information_schema.columns
                WHERE (table_name, column_name) = ('customers', 'fax')""",
        ],
    ),
]
