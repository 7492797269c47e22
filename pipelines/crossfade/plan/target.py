"""A database as planning sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from crossfade.catalog.model import Catalog


@dataclass(frozen=True)
class Target:
    """A database as planning sees it: its catalog, and a read-only session for questions of meaning."""

    database: str
    schema: str
    catalog: Catalog
    connection: psycopg.Connection[Any]
