"""Values that are said in other words, or worked out."""

from __future__ import annotations

from tests.examples.example import Example

EXAMPLES = [
    Example(
        "mail_settings_renamed",
        """
        CREATE TABLE accounts (id bigint PRIMARY KEY, settings jsonb NOT NULL DEFAULT '{}');
        INSERT INTO accounts
            SELECT i, CASE WHEN i % 3 > 0 THEN jsonb_build_object('mail', i % 2 = 0, 'n', i) ELSE '{}' END
            FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO accounts VALUES (%(n)s, '{\"mail\": true}')",
            "UPDATE accounts SET settings = settings || '{\"mail\": false}' WHERE id = %(id)s",
            "SELECT (settings -> 'mail')::boolean FROM accounts WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO accounts VALUES (%(n)s, '{\"email\": true}')",
            'UPDATE accounts SET settings = settings || \'{"email": false, "seen": 1}\' WHERE id = %(id)s',
        ],
        path="public_mail_settings_renamed, public",
        new_from="backfill",
        old_until="cutover",
        holds=[
            "SELECT count(*) = 0 FROM accounts WHERE settings ? 'mail'",
            """
            SELECT bool_and(settings -> 'n' = to_jsonb(id) AND settings -> 'email' IN ('true', 'false'))
                FROM accounts WHERE id <= :rows AND id % 3 > 0""",
        ],
    ),
    Example(
        "titles_without_accents",
        """
        CREATE TABLE articles (id bigint PRIMARY KEY, title text NOT NULL, search_title text, note text);
        INSERT INTO articles SELECT i, 'Résumé ' || i FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "UPDATE articles SET note = %(word)s WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO articles VALUES (%(n)s, 'Ångström', 'angstrom')",
            "UPDATE articles SET title = 'Café ' || id, search_title = 'cafe ' || id WHERE id = %(id)s",
        ],
        old_until=None,
        holds=[
            "SELECT bool_and(search_title IN ('angstrom', 'cafe ' || id, 'resume ' || id)) FROM articles",
        ],
    ),
    Example(
        "line_totals",
        """
        CREATE TABLE order_lines (id bigint PRIMARY KEY, quantity int NOT NULL, unit_price numeric(10, 2) NOT NULL);
        INSERT INTO order_lines SELECT i, i % 10, i / 100.0 FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO order_lines VALUES (%(n)s, 3, 1.25)",
            "UPDATE order_lines SET quantity = quantity + 1 WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO order_lines (id, quantity, unit_price) VALUES (%(n)s, 2, 9.90)",
            "SELECT total FROM order_lines WHERE id = %(id)s",
        ],
        old_until=None,
        holds=[
            "SELECT bool_and(total = quantity * unit_price) FROM order_lines",
        ],
    ),
    Example(
        "levels_as_enum",
        """
        CREATE TYPE log_level AS ENUM ('debug', 'info', 'warning', 'error', 'fatal');
        CREATE TABLE entries (id bigint PRIMARY KEY, level text NOT NULL);
        INSERT INTO entries SELECT i, (ARRAY['INFO', 'WARN', 'error'])[i % 3 + 1] FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO entries (id, level) VALUES (%(n)s, 'debug')",
            "UPDATE entries SET level = 'warning' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO entries (id, level) VALUES (%(n)s, 'debug')",
            "SELECT count(*) FROM entries WHERE id = %(id)s AND level >= 'warning'",
        ],
        new_from="cutover",
        old_until=None,
        holds=[
            "SELECT count(*) = 4 FROM (SELECT level FROM entries GROUP BY level) AS levels",
            "SELECT pg_typeof(level)::text = 'log_level' FROM entries LIMIT 1",
        ],
    ),
    Example(
        "roles_as_text",
        """
        CREATE TYPE member_role AS ENUM ('owner', 'admin', 'guest');
        CREATE TABLE members (id bigint PRIMARY KEY, role member_role NOT NULL DEFAULT 'guest');
        INSERT INTO members SELECT i, (ARRAY['owner', 'admin', 'guest'])[i % 3 + 1]::member_role
            FROM generate_series(1, :rows) AS i;
        """,
        old=[
            "INSERT INTO members VALUES (%(n)s, 'admin')",
            "UPDATE members SET role = 'owner' WHERE id = %(id)s",
        ],
        new=[
            "INSERT INTO members (id) VALUES (%(n)s)",
            "UPDATE members SET role = 'auditor' WHERE id = %(id)s",
        ],
        new_from="cutover",
        old_until="cutover",
        holds=[
            "SELECT bool_and(role IN ('owner', 'admin', 'guest', 'auditor')) FROM members",
            "SELECT pg_typeof(role)::text = 'text' FROM members LIMIT 1",
        ],
    ),
]
