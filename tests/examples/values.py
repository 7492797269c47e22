"""Columns that keep their name and type and get other values, and columns that come."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "phones_without_blanks",
        """
        CREATE TABLE customers (id bigint PRIMARY KEY, phone text);
        INSERT INTO customers SELECT i, '+47 22 ' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO customers VALUES (%(n)s, '+47 90 00 00 00')",
            "UPDATE customers SET phone = '(22) 00-11' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO customers (id, phone) VALUES (%(n)s, '+4790000000')",
            "UPDATE customers SET phone = '220011' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            "SELECT bool_and(phone IN ('+4790000000', '220011', '+4722' || id)) FROM customers",
        ],
    ),
    Example(
        "countries_are_known",
        """
        CREATE TABLE customers (id bigint PRIMARY KEY, country text);
        INSERT INTO customers SELECT i, (ARRAY['no', 'SE', NULL])[i % 3 + 1] FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO customers VALUES (%(n)s, NULL)",
            "UPDATE customers SET country = 'dk' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO customers (id) VALUES (%(n)s)",
            "UPDATE customers SET country = 'DK' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            "SELECT bool_and(country IN ('NO', 'SE', 'DK')) FROM customers",
        ],
    ),
    Example(
        "public_ids",
        """
        CREATE TABLE invoices (id bigint PRIMARY KEY, total int NOT NULL);
        INSERT INTO invoices SELECT i, i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO invoices VALUES (%(n)s, 1)",
            "UPDATE invoices SET total = total + 1 WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO invoices (id, total) VALUES (%(n)s, 1) RETURNING public_id",
            "SELECT public_id FROM invoices WHERE id = %(id)s",
        ],
        old_until=None,
        holds=[
            "SELECT count(*) = count(DISTINCT public_id) FROM invoices",
        ],
    ),
    Example(
        "article_slugs",
        """
        CREATE TABLE articles (id bigint PRIMARY KEY, title text NOT NULL);
        INSERT INTO articles SELECT i, 'On number ' || i || '!' FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO articles VALUES (%(n)s, %(word)s)",
            "UPDATE articles SET title = 'Moved?' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO articles (id, title, slug) VALUES (%(n)s, %(word)s, 'chosen-' || %(n)s)",
            "SELECT id FROM articles WHERE slug = 'moved-' || %(id)s",
        ],
        old_until="archive",
        holds=[
            "SELECT bool_and(slug ~ '^[a-z0-9-]+$') AND count(*) = count(DISTINCT slug) FROM articles",
        ],
    ),
    Example(
        "comments_of_articles",
        """
        CREATE TABLE articles (id bigint PRIMARY KEY, title text NOT NULL);
        INSERT INTO articles SELECT i, 'Article ' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO articles VALUES (%(n)s, %(word)s)",
            "UPDATE articles SET title = %(word)s WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO comments (article_id, body) VALUES (%(id)s, %(word)s)",
            "UPDATE articles SET comments_allowed = false WHERE id = %(id)s",
        ],
        old_until=None,
        holds=[
            """
            SELECT count(*) > 0 FROM comments JOIN articles ON articles.id = article_id
                WHERE comments.written_at <= now()""",
        ],
    ),
]
