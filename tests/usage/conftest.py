from __future__ import annotations

import uuid
from pathlib import Path

import psycopg
import pytest

from crossfade.catalog import Catalog
from crossfade.catalog.snapshot import read_catalog
from crossfade.server import Server, create_database, drop_database
from crossfade.spec.fragment import trusted


@pytest.fixture(scope="session")
def catalog(server: Server) -> Catalog:
    """Of the database in schema.sql."""
    name = f"usage_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url, autocommit=True) as administrator:
        create_database(administrator, name)
        try:
            with psycopg.connect(server.database_url(name), autocommit=True) as connection:
                connection.execute(trusted((Path(__file__).parent / "schema.sql").read_text()))
                return read_catalog(connection)
        finally:
            drop_database(administrator, name)
