"""A database to change, and the catalog it has after a change."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import psycopg
import pytest

from crossfade.catalog import Catalog
from crossfade.catalog.snapshot import read_catalog

Connection = psycopg.Connection[Any]
After = Callable[[str], Catalog]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "since(version): needs a server of that version; skipped on older ones")


@pytest.fixture
def connection(database: str) -> Generator[Connection]:
    """A connection in autocommit mode to a fresh database."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def after(connection: Connection, request: pytest.FixtureRequest) -> After:
    """Run SQL and read the catalog; `since(version)` marks tests of what older servers do not have."""
    marker = request.node.get_closest_marker("since")
    if marker is not None and connection.info.server_version < marker.args[0] * 10000:
        pytest.skip(f"needs PostgreSQL {marker.args[0]}")

    def read(sql: str) -> Catalog:
        connection.execute(sql.encode())
        return read_catalog(connection)

    return read
