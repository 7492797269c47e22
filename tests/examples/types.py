"""Columns that keep their name and get another type."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "measurements_as_numeric",
        """
        CREATE TABLE readings (id bigint PRIMARY KEY, amount double precision NOT NULL);
        INSERT INTO readings SELECT i, i + 0.125 FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO readings VALUES (%(n)s, 1.5)",
            "UPDATE readings SET amount = 1.5 WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO readings (id, amount) VALUES (%(n)s, 1.5)",
            "UPDATE readings SET amount = 1.5 WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            "SELECT bool_and(amount IN (1.5, id + 0.125)) FROM readings",
            """
            SELECT format_type(atttypid, atttypmod) = 'numeric(14,3)' FROM pg_attribute
                WHERE attrelid = 'readings'::regclass AND attname = 'amount'""",
        ],
    ),
    Example(
        "visits_beyond_two_billion",
        """
        CREATE TABLE pages (id bigint PRIMARY KEY, visits int NOT NULL DEFAULT 0);
        INSERT INTO pages SELECT i, i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO pages VALUES (%(n)s, 7)",
            "UPDATE pages SET visits = 7 WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO pages (id, visits) VALUES (%(n)s, 8000000000)",
            "UPDATE pages SET visits = 8000000000 WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            "SELECT bool_and(visits IN (7, 8000000000, id)) FROM pages",
            """
            SELECT format_type(atttypid, atttypmod) = 'bigint' FROM pg_attribute WHERE attrelid = 'pages'::regclass
                AND attname = 'visits'""",
        ],
    ),
    Example(
        "settings_as_jsonb",
        """
        CREATE TABLE accounts (id bigint PRIMARY KEY, settings json);
        INSERT INTO accounts SELECT i, CASE WHEN i % 5 > 0 THEN json_build_object('n', i) END
            FROM generate_series(1, :rows) AS i;
        """,
        old=[
            """
            INSERT INTO accounts VALUES (%(n)s, '{"theme": "dark"}')""",
            """
            UPDATE accounts SET settings = '{"theme": "dark"}' WHERE id = %(id)s""",
        ],
        new=[
            """
            INSERT INTO accounts (id, settings) VALUES (%(n)s, '{"theme": "light"}')""",
            """
            UPDATE accounts SET settings = '{"theme": "light"}' WHERE id = %(id)s""",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            """
            SELECT bool_and(settings ->> 'theme' IN ('dark', 'light') OR settings ->> 'n' = id::text
                OR settings = '{}') FROM accounts""",
            """
            SELECT format_type(atttypid, atttypmod) = 'jsonb' FROM pg_attribute
                WHERE attrelid = 'accounts'::regclass AND attname = 'settings'""",
        ],
    ),
    Example(
        "birthdays_as_dates",
        """
        CREATE TABLE people (id bigint PRIMARY KEY, born text);
        INSERT INTO people SELECT i, to_char(date '1950-01-01' + (i % 20000)::int, 'YYYY-MM-DD')
            FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO people VALUES (%(n)s, '1999-12-31')",
            "UPDATE people SET born = '1999-12-31' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO people (id, born) VALUES (%(n)s, date '2000-01-01')",
            "UPDATE people SET born = date '2000-01-01' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            """
            SELECT bool_and(born IN ('1999-12-31', '2000-01-01', date '1950-01-01' + (id % 20000)::int)) FROM people""",
            """
            SELECT format_type(atttypid, atttypmod) = 'date' FROM pg_attribute WHERE attrelid = 'people'::regclass
                AND attname = 'born'""",
        ],
    ),
    Example(
        "flags_as_booleans",
        """
        CREATE TABLE subscribers (id bigint PRIMARY KEY, newsletter char(1));
        INSERT INTO subscribers SELECT i, (ARRAY['Y', 'N', NULL])[i % 3 + 1] FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO subscribers VALUES (%(n)s, 'Y')",
            "UPDATE subscribers SET newsletter = 'Y' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO subscribers (id, newsletter) VALUES (%(n)s, true)",
            "UPDATE subscribers SET newsletter = true WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            "SELECT bool_and(newsletter OR id % 3 > 0) FROM subscribers",
            """
            SELECT format_type(atttypid, atttypmod) = 'boolean' FROM pg_attribute
                WHERE attrelid = 'subscribers'::regclass AND attname = 'newsletter'""",
        ],
    ),
    Example(
        "tags_as_arrays",
        """
        CREATE TABLE articles (id bigint PRIMARY KEY, tags text);
        INSERT INTO articles SELECT i, CASE WHEN i % 4 > 0 THEN 'art,number' || i END
            FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO articles VALUES (%(n)s, 'party,music')",
            "UPDATE articles SET tags = 'party,music' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO articles (id, tags) VALUES (%(n)s, '{party,music}')",
            "UPDATE articles SET tags = '{party,music}' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            "SELECT bool_and(tags IN ('{party,music}', ARRAY['art', 'number' || id], '{}')) FROM articles",
            """
            SELECT format_type(atttypid, atttypmod) = 'text[]' FROM pg_attribute
                WHERE attrelid = 'articles'::regclass AND attname = 'tags'""",
        ],
    ),
    Example(
        "addresses_as_inet",
        """
        CREATE TABLE logins (id bigint PRIMARY KEY, address text);
        INSERT INTO logins
          SELECT i, '10.' || i / 65536 || '.' || i / 256 % 256 || '.' || i % 256 FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO logins VALUES (%(n)s, '192.168.0.1')",
            "UPDATE logins SET address = '192.168.0.1' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO logins (id, address) VALUES (%(n)s, '192.168.0.2')",
            "UPDATE logins SET address = '192.168.0.2' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            """
            SELECT bool_and(address IN ('192.168.0.1', '192.168.0.2') OR address << '10.0.0.0/8') FROM logins""",
            """
            SELECT format_type(atttypid, atttypmod) = 'inet' FROM pg_attribute WHERE attrelid = 'logins'::regclass
                AND attname = 'address'""",
        ],
    ),
    Example(
        "longer_product_codes",
        """
        CREATE TABLE products (id bigint PRIMARY KEY, code varchar(20) NOT NULL);
        INSERT INTO products SELECT i, 'P-' || i FROM generate_series(1, :rows) AS i;
        CREATE INDEX products_code ON products (code);
        """,
        old=[
            "INSERT INTO products VALUES (%(n)s, 'Q-1')",
            "UPDATE products SET code = 'Q-2' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO products VALUES (%(n)s, 'a code of more than twenty characters')",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            """
            SELECT bool_and(code IN ('Q-1', 'Q-2', 'P-' || id, 'a code of more than twenty characters'))
                FROM products""",
            """
            SELECT format_type(atttypid, atttypmod) = 'character varying(64)' FROM pg_attribute
                WHERE attrelid = 'products'::regclass AND attname = 'code'""",
        ],
    ),
]
