"""Statements of the author's own."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind
from tests.torture.shapes import Names


def _scripts(t: Names) -> list[Change]:
    people = t.q("people")
    counted = f"CREATE VIEW by_area AS SELECT {t.q('area')}, count(*) FROM {people} GROUP BY 1"
    return [
        {"sql": {"up": f"CREATE TABLE done (at int); INSERT INTO done VALUES (1); {counted}",
                 "down": "DROP VIEW by_area; DROP TABLE done", "verify": "SELECT to_regclass('done') IS NOT NULL"}},
        {"sql": {"up": f"VACUUM {people}", "down": "SELECT 1", "transaction": False, "phase": "backfill",
                 "reason": "repeatable"}},
        {"sql": {"up": "INSERT INTO done VALUES (2)", "down": "DELETE FROM done WHERE at = 2",
                 "phase": "contract", "stage": "retire"}},
    ]  # fmt: skip


KINDS = (Kind("sql", lambda s: _scripts(s.names), once="SELECT array_agg(at ORDER BY at) FROM done"),)
