"""Keys that become wider, or others."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "users_beyond_two_billion",
        """
        CREATE TABLE users (id serial PRIMARY KEY, name text);
        CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          user_id int NOT NULL REFERENCES users ON DELETE CASCADE, note text);
        CREATE TABLE profiles (user_id int PRIMARY KEY REFERENCES users ON DELETE CASCADE, bio text);
        CREATE TABLE friends (who int REFERENCES users, whom int REFERENCES users, PRIMARY KEY (who, whom));
        CREATE INDEX orders_user_id ON orders (user_id);
        CREATE INDEX friends_whom ON friends (whom);
        INSERT INTO users (name) SELECT 'User ' || i FROM generate_series(1, :rows) AS i;
        INSERT INTO orders (user_id, note) SELECT i, 'Order' FROM generate_series(1, :rows, 5) AS i;
        INSERT INTO profiles SELECT i, 'Bio' FROM generate_series(1, :rows, 5) AS i;
        INSERT INTO friends SELECT i, i + 1 FROM generate_series(1, :rows - 1, 5) AS i;
        """,
        old=[
            "INSERT INTO users (name) VALUES (%(word)s)",
            "INSERT INTO orders (user_id, note) VALUES (%(id)s, %(word)s)",
            "UPDATE profiles SET bio = %(word)s WHERE user_id = %(id)s",
        ],
        new=[
            """
            WITH made AS (INSERT INTO users (id, name) VALUES (%(n)s + 3000000000, %(word)s) RETURNING id)
            SELECT id FROM made""",
            "INSERT INTO orders (user_id, note) VALUES (%(id)s, %(word)s)",
            "INSERT INTO friends (who, whom) VALUES (%(id)s, %(id)s) ON CONFLICT DO NOTHING",
        ],
        new_from="cutover",
        old_until=None,
        holds=[
            """
            SELECT array_agg(format_type(atttypid, NULL)) = array_fill('bigint'::text, ARRAY[5]) FROM pg_attribute
             WHERE (attrelid::regclass::text, attname) IN (('users', 'id'), ('orders', 'user_id'),
                   ('profiles', 'user_id'), ('friends', 'who'), ('friends', 'whom'))""",
            "SELECT count(*) > 0 FROM users WHERE id > 3000000000",
            """
            SELECT count(*) = 0 FROM orders AS o
             WHERE NOT EXISTS (SELECT FROM users AS u WHERE u.id = o.user_id)""",
            "SELECT count(*) = 4 FROM pg_constraint WHERE contype = 'f' AND confrelid = 'users'::regclass",
        ],
    ),
    Example(
        "tickets_have_an_id",
        """
        CREATE TABLE tickets (project text, number bigint, title text, PRIMARY KEY (project, number));
        CREATE TABLE replies (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project text NOT NULL,
          number bigint NOT NULL, said text, FOREIGN KEY (project, number) REFERENCES tickets ON UPDATE CASCADE);
        CREATE TABLE attachments (name text PRIMARY KEY, project text, number bigint,
          FOREIGN KEY (project, number) REFERENCES tickets ON UPDATE CASCADE ON DELETE SET NULL);
        CREATE INDEX replies_ticket ON replies (project, number);
        CREATE INDEX attachments_ticket ON attachments (project, number);
        INSERT INTO tickets SELECT 'WEB', i, 'Ticket ' || i FROM generate_series(1, :rows) AS i;
        INSERT INTO replies (project, number, said)
        SELECT 'WEB', i, 'Ticket ' || i FROM generate_series(1, :rows, 4) AS i;
        INSERT INTO attachments SELECT 'file ' || i, 'WEB', i FROM generate_series(1, :rows, 10) AS i;
        """,
        old=[
            "INSERT INTO tickets VALUES ('APP', %(n)s, %(word)s)",
            "UPDATE tickets SET project = 'OPS' WHERE project = 'WEB' AND number = %(id)s",
            """
            INSERT INTO replies (project, number, said)
            SELECT project, number, title FROM tickets WHERE project = 'WEB' AND number = %(id)s FOR KEY SHARE""",
        ],
        new=[
            """
            INSERT INTO replies (ticket_id, said)
            SELECT id, title FROM tickets WHERE project = 'WEB' AND number = %(id)s FOR KEY SHARE""",
            "INSERT INTO tickets (project, number, title) VALUES ('LAB', %(n)s, %(word)s)",
        ],
        new_from="backfill",
        holds=[
            "SELECT bool_and(said = title) FROM replies LEFT JOIN tickets AS t ON t.id = ticket_id",
            "SELECT bool_and(name = 'file ' || number) FROM attachments LEFT JOIN tickets AS t ON t.id = ticket_id",
            "SELECT count(*) = count(DISTINCT (project, number)) FROM tickets",
        ],
    ),
]
