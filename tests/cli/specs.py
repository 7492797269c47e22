"""A table and specs that tests begin from."""

from __future__ import annotations

from tests.scene import Scene

USERS = """
CREATE TABLE users (id bigint PRIMARY KEY, email text, age text);
INSERT INTO users SELECT n, format('User%s@Example.com', n), n % 90 FROM generate_series(1, 500) AS n;
ANALYZE users
"""
LOWER = """
changes:
  - change_column: {table: users, column: email, to: {nullable: false, unique: true}, up: lower(email), down: email}
"""
APPROVED = LOWER + "gates: {contract: [{approval: {count: 1}}]}\n"
ADD = "changes:\n  - add_column: {table: users, column: seen, type: timestamptz}\n"


def users(scene: Scene, body: str = LOWER) -> None:
    """The table, and one migration `m` of it."""
    scene.sql(USERS)
    scene.spec(body)
