"""Columns that change their values, their type or their number."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "emails_in_lower_case",
        """
        CREATE TABLE users (id bigint PRIMARY KEY, email text, seen int NOT NULL DEFAULT 0);
        INSERT INTO users SELECT i, 'Person.' || i || '@Example.org' FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO users (id, email) VALUES (%(n)s, 'New.' || %(n)s || '@Example.org')",
            "UPDATE users SET email = 'Moved.' || %(n)s || '@Example.org' WHERE id = %(id)s",
            "UPDATE users SET seen = seen + 1 WHERE id = %(id)s",
        ],
        new=[
            """
            INSERT INTO users (id, email) VALUES (%(n)s, 'new.' || %(n)s || '@example.org')
            ON CONFLICT (email) DO NOTHING""",
            "UPDATE users SET email = 'moved.' || %(n)s || '@example.org' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=["SELECT bool_and(email = lower(email)) AND count(*) = count(DISTINCT email) FROM users"],
    ),
    Example(
        "timestamps_with_time_zone",
        """
        CREATE TABLE orders (id bigint PRIMARY KEY, placed_at timestamp NOT NULL, total numeric(10, 2) NOT NULL);
        INSERT INTO orders
        SELECT i, timestamp '2024-01-01 12:00' + i * interval '10 min', i FROM generate_series(1, :rows) AS i;
        CREATE INDEX orders_placed ON orders (placed_at);
        """,
        old=[
            "INSERT INTO orders VALUES (%(n)s, '2025-07-01 12:00', 1)",
            "UPDATE orders SET placed_at = '2025-07-01 12:00' WHERE id = %(id)s",
            "UPDATE orders SET total = total + 1 WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO orders (id, placed_at, total) VALUES (%(n)s, '2025-07-01 10:00+00', 1)",
            "UPDATE orders SET placed_at = '2025-07-01 10:00+00' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            """
            SELECT bool_and(placed_at = '2025-07-01 10:00+00'
                   OR placed_at = (timestamp '2024-01-01 12:00' + id * interval '10 min') AT TIME ZONE 'Europe/Oslo')
              FROM orders""",
            "SELECT count(*) = 1 FROM pg_indexes WHERE indexname = 'orders_placed'",
        ],
    ),
    Example(
        "soft_delete_as_timestamp",
        """
        CREATE TABLE articles (
            id bigint PRIMARY KEY, title text, deleted boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL
        );
        INSERT INTO articles
        SELECT i, 'Article ' || i, i % 10 = 0, timestamptz '2024-01-01 00:00+00' FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO articles VALUES (%(n)s, %(word)s, false, now())",
            "UPDATE articles SET deleted = true, updated_at = now() WHERE id = %(id)s",
            "UPDATE articles SET deleted = false WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO articles (id, title, updated_at) VALUES (%(n)s, %(word)s, now())",
            "UPDATE articles SET deleted_at = now() WHERE id = %(id)s",
            "UPDATE articles SET deleted_at = NULL WHERE id = %(id)s",
        ],
        holds=[
            "SELECT count(*) > 0 FROM articles WHERE deleted_at = '2024-01-01 00:00+00'",
            """
            SELECT count(*) = 0 FROM information_schema.columns
             WHERE (table_name, column_name) = ('articles', 'deleted')""",
        ],
    ),
]
