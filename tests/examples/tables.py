"""Tables that are made otherwise, under the name they have."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "events_by_month",
        """
        CREATE TABLE accounts (id bigint PRIMARY KEY);
        INSERT INTO accounts SELECT generate_series(1, 100);
        CREATE TABLE events (
          id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
          happened_at timestamptz NOT NULL DEFAULT now(), word text);
        INSERT INTO events (account_id, happened_at, word)
          SELECT i % 100 + 1, timestamptz '2024-01-01 00:00+00' + i % 700 * interval '1 day', 'Word ' || i
            FROM generate_series(1, :rows) AS i;
        CREATE INDEX events_of_account ON events (account_id);
        """,
        old=[
            "INSERT INTO events (account_id, word) VALUES (1, %(word)s)",
            "UPDATE events SET word = %(word)s WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO events (account_id, happened_at, word) VALUES (2, '2025-06-06', %(word)s)",
            "UPDATE events SET happened_at = '2024-02-03 04:05+00' WHERE id = %(id)s",
        ],
        holds=[
            "SELECT count(*) >= 50000 AND count(*) = count(DISTINCT id) FROM events",
            "SELECT count(*) = 37 FROM pg_partition_tree('events') WHERE isleaf",
            "SELECT bool_and(happened_at < '2025-07-01') FROM events_2025_06",
        ],
        old_until=None,
    )
]
