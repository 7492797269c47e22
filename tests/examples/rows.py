"""Rows and tables that go."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "old_sessions",
        """
        CREATE TABLE sessions (id bigint PRIMARY KEY, ended_at timestamptz);
        INSERT INTO sessions SELECT i, timestamptz '2023-12-01 00:00+00' + i * interval '150000 min' / :rows
            FROM generate_series(1, :rows) AS i;
        CREATE TABLE visits (id bigint PRIMARY KEY, session_id bigint NOT NULL REFERENCES sessions, page text);
        INSERT INTO visits SELECT i, i, '/' FROM generate_series(1, :rows) AS i;
        CREATE INDEX visits_session ON visits (session_id);
        """,
        old=[
            "INSERT INTO sessions VALUES (%(n)s, now())",
            "UPDATE visits SET page = %(word)s WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO sessions VALUES (%(n)s, NULL)",
        ],
        old_until=None,
        holds=[
            "SELECT count(*) = 0 FROM sessions WHERE ended_at < '2024-01-01 00:00+00'",
            "SELECT count(*) > 0 AND bool_and(id > :rows * 28 / 100) FROM visits",
        ],
    ),
    Example(
        "legacy_coupons",
        """
        CREATE TABLE orders (id bigint PRIMARY KEY, total int NOT NULL);
        INSERT INTO orders SELECT i, i FROM generate_series(1, :rows) AS i;
        CREATE TABLE coupons (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, rate int);
        INSERT INTO coupons SELECT i, i, 10 FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO coupons VALUES (%(n)s, %(id)s, 20)",
            "UPDATE coupons SET rate = 30 WHERE id = %(id)s",
        ],
        new=[
            "UPDATE orders SET total = total + 1 WHERE id = %(id)s",
        ],
        holds=[
            "SELECT to_regclass('coupons') IS NULL",
            "SELECT count(*) = :rows FROM orders",
        ],
    ),
]
