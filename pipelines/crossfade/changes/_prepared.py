"""What clients that prepare statements see when a table gets, renames or loses columns."""

from __future__ import annotations

from crossfade.catalog.model import Table
from crossfade.changes._change import Hazard, Risk


def prepared_hazard(table: Table, risk: Risk, when: str, *, what: str = "`SELECT *` and `RETURNING *`") -> Hazard:
    """PostgreSQL refuses a prepared statement whose result has other columns, names or types than when prepared."""
    return Hazard(
        "prepared-statements",
        risk,
        f"prepared statements that give {what} of {table.name} fail {when} until they are deallocated: cached plan must"
        " not change result type",
        "name columns instead of `*`, cast one whose type changes; or do not prepare; or renew the sessions then",
    )
