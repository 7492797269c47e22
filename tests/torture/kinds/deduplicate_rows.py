"""Duplicates that are looked for, and kept out, where there are none: every row stays, and no write is refused."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, has_key
from tests.torture.shapes import Names


def _deduplicate(t: Names) -> list[Change]:
    return [{"deduplicate_rows": {"table": t["people"], "by": [t.q("ident")]}}]


KINDS = (Kind("deduplicate_rows", lambda s: _deduplicate(s.names), fits=has_key),)
