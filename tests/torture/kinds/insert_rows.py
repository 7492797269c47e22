"""Rows that are inserted once."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind

NEW = 99


def _insert() -> list[Change]:
    return [{"insert_rows": {"table": "areas", "rows": [{"area": NEW}]}}]


KINDS = (Kind("insert_rows", lambda s: _insert(), once=f"SELECT count(*) FROM areas WHERE area = {NEW}"),)
