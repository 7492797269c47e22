"""A table whose rows take a millisecond each to map, so that a walk lasts however fast the machine is."""

from __future__ import annotations

SLOWLY = """
CREATE OR REPLACE FUNCTION slowly(name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(0.001); RETURN lower(name); END $$;"""
# For the walks after what has been tried in the middle of one.
AT_ONCE = """
CREATE OR REPLACE FUNCTION slowly(name text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN lower(name); END $$"""


def slow_items(rows: int) -> str:
    """The statements that make `items`, of so many rows on many blocks, and the function `slowly` to map its names."""
    return f"""{SLOWLY}
CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, filler text);
INSERT INTO items SELECT i, 'Name ' || i, repeat('x', 300) FROM generate_series(1, {rows}) AS i;
"""
