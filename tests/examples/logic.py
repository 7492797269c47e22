"""Types, names and rights."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "lost_orders_are_cancelled",
        """
        CREATE TYPE order_state AS ENUM ('open', 'lost', 'cancelled', 'done');
        CREATE TABLE orders (id bigint PRIMARY KEY, state order_state NOT NULL DEFAULT 'open');
        INSERT INTO orders SELECT i, (ARRAY['open', 'lost', 'done'])[i % 3 + 1]::order_state
            FROM generate_series(1, :rows) AS i;
        CREATE TABLE customers (id bigint PRIMARY KEY, states order_state[]);
        INSERT INTO customers SELECT i, '{done,lost}' FROM generate_series(1, :rows / 10) AS i;
        """,
        old=[
            "INSERT INTO orders VALUES (%(n)s, 'lost')",
            "UPDATE orders SET state = 'lost'::order_state WHERE id = %(id)s AND state <> 'done'::order_state",
            "UPDATE customers SET states = states || 'lost'::order_state WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO orders (id, state) VALUES (%(n)s, 'cancelled')",
            "UPDATE orders SET state = 'cancelled' WHERE id = %(id)s AND state = 'open'::order_state",
        ],
        old_until="cutover",
        holds=[
            "SELECT enum_range(NULL::order_state)::text = '{open,cancelled,done}'",
            "SELECT bool_and(states[1:2]::text = '{done,cancelled}') FROM customers",
            "SELECT bool_and(state = 'cancelled') FROM orders WHERE id % 3 = 1",
        ],
    ),
    Example(
        "users_are_accounts",
        """
        CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, seen int DEFAULT 0);
        INSERT INTO users SELECT i, 'User ' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO users VALUES (%(n)s, %(word)s) ON CONFLICT (id) DO NOTHING",
            "UPDATE users SET seen = seen + 1 WHERE id = %(id)s RETURNING name",
        ],
        new=[
            "INSERT INTO accounts (id, name) VALUES (%(n)s, %(word)s)",
            "UPDATE accounts SET seen = seen + 1 WHERE id = %(id)s",
        ],
        holds=[
            "SELECT to_regclass('users') IS NULL",
            "SELECT bool_and(seen >= 0) FROM accounts",
        ],
    ),
    Example(
        "notes_of_each_tenant",
        """
        CREATE TABLE notes (id bigint PRIMARY KEY, tenant int NOT NULL, body text);
        INSERT INTO notes SELECT i, i % 10, 'x' FROM generate_series(1, :rows) AS i;
        GRANT SELECT, INSERT, UPDATE ON notes TO pg_monitor;
        CREATE FUNCTION seen_by(given int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
          PERFORM set_config('app.tenant', given::text, true);
          UPDATE notes SET body = 'seen' WHERE id = 10 + given;
          RETURN (SELECT count(*) FROM notes);
        END $$;
        ALTER FUNCTION seen_by OWNER TO pg_monitor;
        """,
        old=[
            "SELECT count(*) FROM notes WHERE tenant = %(id)s %% 10",
            "UPDATE notes SET body = %(word)s WHERE id = %(id)s",
        ],
        new=[
            "SELECT seen_by(%(id)s %% 10)",
        ],
        holds=[
            "SELECT seen_by(3) = count(*) FILTER (WHERE tenant = 3) AND seen_by(3) < count(*) FROM notes",
        ],
    ),
]
