"""A database as planning sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from crossfade.catalog.model import Catalog
from crossfade.spec.databases import Database


@dataclass(frozen=True)
class Target:
    """A database as planning sees it: its catalog, and a read-only session for questions of meaning.

    said: what databases.yaml says of it; None where a plan is made without one.
    """

    database: str
    schema: str
    catalog: Catalog
    connection: psycopg.Connection[Any]
    said: Database | None = None
