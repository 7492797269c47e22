"""Indexes made anew."""

from __future__ import annotations

from tests.torture.kinds._kind import Kind

KINDS = (Kind("rebuild_index", lambda _: [{"rebuild_index": {"index": "people_ident"}}]),)
