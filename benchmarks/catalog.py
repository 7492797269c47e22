"""How long reading a catalog of 500 tables takes, against `pg_dump --schema-only` of that database.

    python benchmarks/catalog.py postgresql://postgres@localhost/postgres [tables]

Creates the database crossfade_benchmark there and drops it afterwards. Prints the median and the best of
several readings on new connections, which start with cold caches, and on one connection. The role must be
allowed to create databases, and the pg_dump on the PATH not be older than the server.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import psycopg
from psycopg.conninfo import make_conninfo

from crossfade.catalog import Catalog, diff
from crossfade.catalog.snapshot import read_catalog

DATABASE = "crossfade_benchmark"
REPEATS = 9

TABLE = """
CREATE TABLE shop.t%(n)s (
    id bigserial PRIMARY KEY,
    parent_id bigint REFERENCES shop.t%(parent)s,
    email text NOT NULL UNIQUE,
    name text COLLATE "C" DEFAULT 'nobody',
    state shop.state NOT NULL DEFAULT 'new',
    price numeric(10,2) CHECK (price > 0),
    tags text[] DEFAULT '{}',
    body jsonb,
    created timestamptz NOT NULL DEFAULT now(),
    slug text GENERATED ALWAYS AS (lower(email)) STORED
);
CREATE INDEX ON shop.t%(n)s (parent_id);
CREATE INDEX ON shop.t%(n)s (lower(name)) INCLUDE (price) WHERE state = 'new';
COMMENT ON COLUMN shop.t%(n)s.email IS 'where to write to';
"""
EXTRAS = """
CREATE VIEW shop.v%(n)s AS SELECT id, email, state FROM shop.t%(n)s WHERE price > 1;
CREATE FUNCTION shop.f%(n)s() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN new.created := now(); PERFORM 1 FROM shop.t%(n)s; RETURN new; END';
CREATE TRIGGER touch BEFORE UPDATE OF email ON shop.t%(n)s FOR EACH ROW EXECUTE FUNCTION shop.f%(n)s();
CREATE POLICY mine ON shop.t%(n)s USING (email = CURRENT_USER);
"""


def fill(url: str, tables: int) -> None:
    """Make the tables; every fifth has a view, a trigger with its function, and a policy."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute("CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent')")
        for n in range(tables):
            text = TABLE + (EXTRAS if n % 5 == 0 else "")
            names = {"n": n, "parent": max(n - 1, 0)}
            connection.execute((text % names).encode())
        connection.execute("VACUUM ANALYZE")


def measure(what: str, work: Callable[[], object]) -> None:
    """Print the median and the best of a few runs."""
    durations: list[float] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        durations.append((time.perf_counter() - start) * 1000)
    print(f"  {what:32} {median(durations):6.0f} ms, best {min(durations):6.0f} ms")


def read_anew(url: str) -> Catalog:
    """One reading, connecting included."""
    with psycopg.connect(url) as connection:
        return read_catalog(connection)


def main() -> None:
    """Fill a database, measure, drop it."""
    server, tables = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500
    url = make_conninfo(server, dbname=DATABASE)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}".encode())
        connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        try:
            fill(url, tables)
            catalog = read_anew(url)
            print(f"PostgreSQL {catalog.server.version // 10000}, {len(catalog.tables)} tables")
            measure("read_catalog, new connection", lambda: read_anew(url))
            with psycopg.connect(url) as same:
                measure("read_catalog, same connection", lambda: read_catalog(same))
            measure("diff with itself", lambda: diff(catalog, catalog))
            if (pg_dump := shutil.which("pg_dump")) is not None:
                dump = [pg_dump, "--schema-only", "--file=/dev/null", url]
                measure("pg_dump --schema-only", lambda: subprocess.run(dump, check=True))
        finally:
            connection.execute(f"DROP DATABASE {DATABASE}".encode())


if __name__ == "__main__":
    main()
