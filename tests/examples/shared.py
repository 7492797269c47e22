"""Values that come from other rows, or go to them: counted, numbered, moved to another table."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "likes_are_counted",
        """
        CREATE TABLE posts (id bigint PRIMARY KEY, likes int NOT NULL DEFAULT 0);
        INSERT INTO posts SELECT i FROM generate_series(1, :rows) AS i;
        CREATE TABLE likes (post_id bigint NOT NULL REFERENCES posts, by_user bigint NOT NULL);
        INSERT INTO likes SELECT (i::bigint * i) % (:rows / 10) + 1, i FROM generate_series(1, :rows) AS i;
        CREATE INDEX likes_post ON likes (post_id);
        """,
        old=[
            """
            WITH liked AS (INSERT INTO likes VALUES (%(id)s, %(n)s))
            UPDATE posts SET likes = likes + 1 WHERE id = %(id)s""",
            """
            WITH gone AS (DELETE FROM likes WHERE (post_id, by_user) = (SELECT post_id, by_user FROM likes
                WHERE post_id = %(id)s %% (:rows / 10) + 1 LIMIT 1) RETURNING post_id)
            UPDATE posts SET likes = likes - 1 FROM gone WHERE id = post_id""",
        ],
        new=[
            """
            WITH liked AS (INSERT INTO likes VALUES (%(id)s, %(n)s))
            UPDATE posts SET likes = likes + 1 WHERE id = %(id)s RETURNING likes""",
        ],
        old_until=None,
        holds=[
            """
            SELECT count(*) = 0 FROM posts
                WHERE likes <> (SELECT count(*) FROM likes WHERE post_id = posts.id)""",
        ],
    ),
    Example(
        "invoices_are_numbered",
        """
        CREATE TABLE invoices (id bigint PRIMARY KEY, customer_id bigint NOT NULL, issued_on date NOT NULL,
            amount int NOT NULL, number int, balance bigint, note text);
        INSERT INTO invoices SELECT i, i % (:rows / 10), date '2020-01-01' + (i % 1000)::int, i % 100
            FROM generate_series(1, :rows) AS i;
        CREATE INDEX invoices_customer ON invoices (customer_id);
        """,
        old=[
            "UPDATE invoices SET note = %(word)s WHERE id = %(id)s",
            "INSERT INTO invoices VALUES (%(n)s, %(id)s %% (:rows / 10), current_date, 7)",
        ],
        new=[
            "SELECT number, balance FROM invoices WHERE customer_id = %(id)s %% (:rows / 10) ORDER BY number",
        ],
        new_from="backfill",
        old_until=None,
        holds=[
            """
            SELECT bool_and(number = n AND balance = b) FROM (
                SELECT *, row_number() OVER w AS n, sum(amount) OVER w AS b FROM invoices
                WINDOW w AS (PARTITION BY customer_id ORDER BY issued_on, id)) AS asked WHERE id <= :rows""",
        ],
    ),
    Example(
        "paths_of_categories",
        """
        CREATE TABLE categories (id bigint PRIMARY KEY, parent_id bigint REFERENCES categories, slug text NOT NULL,
            path text, note text);
        INSERT INTO categories SELECT i, nullif(i / 10, 0), 's' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "UPDATE categories SET note = %(word)s WHERE id = %(id)s",
        ],
        new=[
            """
            INSERT INTO categories SELECT %(n)s, id, 'new', path || '/new' FROM categories
                WHERE id = %(id)s AND path IS NOT NULL""",
        ],
        old_until=None,
        holds=[
            """
            SELECT bool_and(c.path = coalesce(p.path || '/', '') || c.slug)
                FROM categories AS c LEFT JOIN categories AS p ON p.id = c.parent_id""",
        ],
    ),
    Example(
        "visitors_once",
        """
        CREATE TABLE visitors (id bigint PRIMARY KEY, email text NOT NULL, visits int NOT NULL, phone text, note text);
        INSERT INTO visitors
          SELECT i, 'v' || i % (:rows * 49 / 50), i % 7, CASE WHEN i > :rows * 49 / 50 THEN i::text END
            FROM generate_series(1, :rows) AS i;
        CREATE INDEX visitors_email ON visitors (email);
        """,
        old=[
            "INSERT INTO visitors VALUES (%(n)s, %(n)s::text, 1)",
            "UPDATE visitors SET note = %(word)s WHERE id = %(id)s",
        ],
        new=[
            "SELECT visits, phone FROM visitors WHERE email = 'v' || %(id)s %% (:rows * 49 / 50)",
        ],
        old_until=None,
        holds=[
            """
            SELECT count(*) = :rows * 49 / 50 AND sum(visits) = (SELECT sum(i % 7) FROM generate_series(1, :rows) AS i)
                FROM visitors WHERE email LIKE 'v%'""",
            "SELECT bool_and(phone = (id + :rows * 49 / 50)::text) FROM visitors WHERE id <= :rows / 50",
        ],
    ),
    Example(
        "user_profiles",
        """
        CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, bio text NOT NULL DEFAULT '', avatar bytea);
        INSERT INTO users SELECT i, i || '@example.org', 'Bio of ' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO users (id, email, bio) VALUES (%(n)s, 'old@example.org', 'from the old version')",
            "UPDATE users SET bio = 'old ' || id WHERE id = %(id)s",
        ],
        new=[
            """
            WITH made AS (INSERT INTO users (id, email) VALUES (%(n)s, 'new@example.org'))
            INSERT INTO user_profiles (user_id, bio) VALUES (%(n)s, 'from the new version')""",
            "UPDATE user_profiles SET bio = 'new ' || user_id WHERE user_id = %(id)s",
        ],
        holds=[
            "SELECT count(*) = (SELECT count(*) FROM users) FROM user_profiles",
            """
            SELECT bool_and(bio IN ('from the old version', 'from the new version', 'old ' || id, 'new ' || id,
                    'Bio of ' || id))
                FROM users JOIN user_profiles ON user_id = id""",
        ],
    ),
    Example(
        "shipments_know_where",
        """
        CREATE TABLE orders (id bigint PRIMARY KEY, address text);
        INSERT INTO orders SELECT i, 'Street ' || i FROM generate_series(1, :rows) AS i;
        CREATE TABLE shipments (order_id bigint PRIMARY KEY, sent_at timestamptz);
        INSERT INTO shipments SELECT id FROM orders;
        """,
        old=[
            """
            WITH shipped AS (INSERT INTO shipments VALUES (%(n)s, now()))
            INSERT INTO orders VALUES (%(n)s, 'Old street')""",
            "UPDATE orders SET address = 'Old street' WHERE id = %(id)s",
        ],
        new=[
            """
            WITH ordered AS (INSERT INTO orders (id) VALUES (%(n)s))
            INSERT INTO shipments (order_id, ship_to) VALUES (%(n)s, 'New street')""",
            "UPDATE shipments SET ship_to = 'New street' WHERE order_id = %(id)s",
        ],
        holds=[
            "SELECT bool_and(ship_to IN ('Old street', 'New street', 'Street ' || order_id)) FROM shipments",
        ],
    ),
]
