"""Rows that are there twice, and rows made from others."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "customers_once",
        """
        CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL, last_seen timestamptz);
        INSERT INTO customers SELECT i, 'c' || i % (:rows * 4 / 5) || '@example.org', now() - i * interval '1 s'
            FROM generate_series(1, :rows) AS i;
        CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, total int);
        INSERT INTO orders SELECT i, i, 1 FROM generate_series(1, :rows) AS i;
        CREATE INDEX orders_customer ON orders (customer_id);
        """,
        old=[
            "INSERT INTO customers VALUES (%(n)s, 'C' || %(id)s || '@example.org', NULL)",
            "UPDATE orders SET total = total + 1 WHERE id = %(id)s",
        ],
        new=[
            """
            INSERT INTO orders SELECT %(n)s, id, 1 FROM customers
                WHERE lower(email) = 'c' || %(id)s || '@example.org' LIMIT 1""",
        ],
        old_until=None,
        holds=[
            "SELECT count(*) >= :rows FROM orders",
            "SELECT count(*) = :rows * 4 / 5 FROM customers WHERE last_seen IS NOT NULL",
        ],
    ),
    Example(
        "currencies",
        """
        CREATE TABLE prices (id bigint PRIMARY KEY, currency text NOT NULL);
        INSERT INTO prices SELECT i, 'EUR' FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO prices VALUES (%(n)s, 'NOK')",
        ],
        new=[
            "SELECT digits FROM currencies JOIN prices ON code = currency WHERE prices.id = %(id)s",
        ],
        old_until=None,
        holds=[
            "SELECT array_agg(code || digits ORDER BY code) = '{EUR2,JPY0,NOK2}' FROM currencies",
        ],
    ),
    Example(
        "article_tags",
        """
        CREATE TABLE articles (id bigint PRIMARY KEY, tags text[] NOT NULL);
        INSERT INTO articles SELECT i, ARRAY['news', 'tag' || i % 7] FROM generate_series(1, :rows) AS i;
        CREATE TABLE article_tags (article_id bigint NOT NULL, tag text NOT NULL, PRIMARY KEY (article_id, tag));
        """,
        old=[
            "UPDATE articles SET tags = tags WHERE id = %(id)s",
        ],
        new=[
            """
            WITH made AS (INSERT INTO articles VALUES (%(n)s, '{new}')) INSERT INTO article_tags
                VALUES (%(n)s, 'new')""",
        ],
        old_until=None,
        holds=[
            """
            SELECT bool_and((SELECT count(*) FROM article_tags WHERE article_id = articles.id) = cardinality(tags))
                FROM articles""",
        ],
    ),
]
