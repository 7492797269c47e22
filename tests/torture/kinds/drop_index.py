"""An index that leaves."""

from __future__ import annotations

from tests.torture.kinds._kind import Kind, is_whole

KINDS = (Kind("drop_index", lambda _: [{"drop_index": {"index": "people_scores"}}], fits=is_whole),)
