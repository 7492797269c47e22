"""The ledger's clock, set by a test: days pass at once, and all that is decided or dated by days goes by it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from crossfade.composing import sql
from crossfade.ledger import install


def set_clock(connection: psycopg.Connection[Any], moment: datetime) -> None:
    """Have the ledger behind `connection`, which is made where it is missing, tell this moment from now on.

    connection: in autocommit, as the ledger's owner.
    """
    install(connection)
    connection.execute(
        sql.SQL("CREATE OR REPLACE FUNCTION crossfade.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS {}").format(
            sql.Literal(f"SELECT '{moment.isoformat()}'::timestamptz")
        )
    )
