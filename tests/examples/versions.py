"""One name with two meanings, and what looks at a table from above."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "states_in_words",
        """
        CREATE TABLE tickets (id bigint PRIMARY KEY, state int NOT NULL DEFAULT 1, title text);
        INSERT INTO tickets SELECT i, i % 3 + 1 FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO tickets (id) VALUES (%(n)s)",
            "UPDATE tickets SET state = 3 WHERE id = %(id)s",
            "SELECT state + 1 FROM tickets WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO tickets (id) VALUES (%(n)s)",
            "UPDATE tickets SET state = 'waiting' WHERE id = %(id)s",
            "SELECT state || '' FROM tickets WHERE id = %(id)s",
        ],
        path="public_states_in_words, public",
        old_until="cutover",
        holds=[
            "SELECT bool_and(state IN ('open', 'waiting', 'closed')) FROM tickets",
        ],
    ),
    Example(
        "totals_in_reports",
        """
        CREATE TABLE orders (id bigint PRIMARY KEY, total double precision NOT NULL);
        INSERT INTO orders SELECT i, i + 0.25 FROM generate_series(1, :rows) AS i;
        CREATE VIEW reports AS SELECT id % 10 AS shop, sum(total) AS total FROM orders GROUP BY 1;
        COMMENT ON VIEW reports IS 'read every morning';
        """,
        old=[
            "INSERT INTO orders VALUES (%(n)s, 1.5)",
            "UPDATE orders SET total = 2.25 WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO orders (id, total) VALUES (%(n)s, 1.5)",
            "SELECT id, total FROM orders WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            "SELECT bool_and(total IN (1.5, 2.25, id + 0.25)) FROM orders",
            "SELECT obj_description('reports'::regclass) = 'read every morning'",
            "SELECT sum(total) = (SELECT sum(total) FROM orders) FROM reports",
        ],
    ),
]
