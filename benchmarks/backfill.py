"""A backfill against one plain UPDATE of the same table, which holds every row until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg

from benchmarks import clients
from benchmarks.measured import Group, Way
from benchmarks.place import advance, fresh, plan, prepare, project, walks
from crossfade.server import LocalServer
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import table
from crossfade.steps.step import Walk

COLUMNS = "name text NOT NULL, amount integer NOT NULL, filler text NOT NULL"
VALUES = "'Name ' || i, i % 1000, repeat('x', 80) FROM generate_series(1, {rows}) AS i"
SHAPES = {
    "bigint": f"CREATE TABLE items (id bigint PRIMARY KEY, {COLUMNS}); INSERT INTO items SELECT i, {VALUES};",
    "uuid": f"CREATE TABLE items (id uuid PRIMARY KEY, {COLUMNS});"
    f" INSERT INTO items SELECT md5(i::text)::uuid, {VALUES};",
    "keyless": f"CREATE TABLE items ({COLUMNS}); INSERT INTO items SELECT {VALUES};",
}
SPEC = """
changes: [{{add_column: {{table: items, column: lowered, type: text, up: lower(name)}}}}]
backfill: {{workers: {workers}}}
"""
SCRIPT_ROWS = 100_000


def plain_update(url: str) -> float:
    """Seconds of the one statement."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE items ADD COLUMN lowered text")
        began = time.monotonic()
        connection.execute("UPDATE items SET lowered = lower(name)")
        return time.monotonic() - began


def under_the_trigger(url: str) -> float:
    """Seconds of one UPDATE by the backfill's own statement while the triggers of expand are in place.

    A table with a BEFORE UPDATE trigger has each row locked, and that logged, before the trigger's WHEN is asked.
    """
    with project(url, SPEC.format(workers=1)) as root, psycopg.connect(url, autocommit=True) as connection:
        advance(root, through="expand")
        walk = next(step for step in plan(root).steps if isinstance(step, Walk))
        assert walk.waiting is not None
        statement = trusted(walk.waiting).format(leaf=table(walk.relation))
        began = time.monotonic()
        psycopg.RawCursor(connection).execute(statement, ("(0,0)", "(4294967295,0)"))
        return time.monotonic() - began


def keyset_batches(url: str) -> float:
    """Seconds of batches of 1,000 in the order of the key, as other tools do."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE items ADD COLUMN lowered text")
        began, last = time.monotonic(), 0
        while (
            row := connection.execute(
                "WITH batch AS (SELECT id FROM items WHERE id > %s ORDER BY id LIMIT 1000),"
                " written AS (UPDATE items SET lowered = lower(name) FROM batch WHERE items.id = batch.id)"
                " SELECT max(id) FROM batch",
                (last,),
            ).fetchone()
        ) and row[0] is not None:
            last = row[0]
        return time.monotonic() - began


def common_script(url: str) -> float:
    """Seconds of what is often written first: pages by OFFSET, and an UPDATE for each row."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE items ADD COLUMN lowered text")
        began, offset = time.monotonic(), 0
        while page := connection.execute(
            "SELECT id, name FROM items ORDER BY id LIMIT 1000 OFFSET %s", (offset,)
        ).fetchall():
            for key, name in page:
                connection.execute("UPDATE items SET lowered = %s WHERE id = %s", (name.lower(), key))
            offset += len(page)
        return time.monotonic() - began


def walked(workers: int) -> Callable[[str], float]:
    """Seconds of our backfill step: all rows written, skipped ones visited again, and none left by a query."""

    def run(url: str) -> float:
        with project(url, SPEC.format(workers=workers)) as root:
            return sum(walk.seconds for walk in walks(advance(root, through="backfill")))

    return run


UNDER_TRIGGER = "one UPDATE, under the trigger"
OURS = {"1 worker": walked(1), "2 workers": walked(2)}
TARGETS = {"1 worker": 0.9, "2 workers": 1.4}


def in_turns(
    server: LocalServer, template: str, rows: int, ways: dict[str, Callable[[str], float]], runs: int
) -> dict[str, tuple[float, ...]]:
    """Rows a second of each way, one after another, each on a fresh copy."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            found[name].append(rows / way(fresh(server, template)))
    return {name: tuple(rates) for name, rates in found.items()}


def against_update(shape: str, server: LocalServer, rows: int, runs: int) -> Iterator[Group]:
    ways = {"one UPDATE": plain_update, UNDER_TRIGGER: under_the_trigger} | OURS
    if shape == "bigint":
        ways["keyset batches of 1,000"] = keyset_batches
    yield _compared(server, f"backfill of {rows:,} rows, {shape}", SHAPES[shape].format(rows=rows), rows, ways, runs)


def beside_pgbench(server: LocalServer, rows: int, runs: int) -> Iterator[Group]:
    """The machine is half busy: pgbench writes tables of its own at half of what it can do alone."""
    with clients.at_half_capacity(server):
        for shape, script in SHAPES.items():
            title = f"backfill of {rows:,} rows, {shape}, pgbench at half its capacity beside"
            yield _compared(server, title, script.format(rows=rows), rows, {"one UPDATE": plain_update} | OURS, runs)


def flat(server: LocalServer, rows: int, runs: int) -> Iterator[Group]:
    """Rows a second do not fall with the size of the table."""
    found: dict[str, tuple[float, ...]] = {}
    for count in (rows, 20 * rows):
        prepare(server, "flat", SHAPES["bigint"].format(rows=count))
        found[f"{count:,} rows"] = in_turns(server, "flat", count, {"2 workers": walked(2)}, runs)["2 workers"]
        server.drop_database("flat")
    (small, base), (large, rates) = found.items()
    yield Group(
        "backfill of a table and of a larger one, 2 workers", "rows/s", (Way(small, base), Way(large, rates, 0.9))
    )


def _compared(
    server: LocalServer, title: str, script: str, rows: int, ways: dict[str, Callable[[str], float]], runs: int
) -> Group:
    prepare(server, "shape", script)
    found = in_turns(server, "shape", rows, ways, runs)
    server.drop_database("shape")
    measured = {name: Way(name, rates, TARGETS.get(name)) for name, rates in found.items()}
    notes = {
        f"{name}, to {UNDER_TRIGGER}": f"{measured[name].median / measured[UNDER_TRIGGER].median:.2f}"
        for name in OURS
        if UNDER_TRIGGER in measured
    }
    return Group(title, "rows/s", tuple(measured.values()), notes=notes)


def against_script(server: LocalServer, runs: int) -> Iterator[Group]:
    prepare(server, "script", SHAPES["bigint"].format(rows=SCRIPT_ROWS))
    ways = {"OFFSET and an UPDATE a row": common_script, "2 workers": walked(2)}
    found = in_turns(server, "script", SCRIPT_ROWS, ways, runs)
    targets = {"2 workers": 50.0}
    yield Group(
        f"backfill of {SCRIPT_ROWS:,} rows, against the common script",
        "rows/s",
        tuple(Way(name, rates, targets.get(name)) for name, rates in found.items()),
    )
