"""Room for more numbers: the new column holds the old values, so none are archived."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, is_whole
from tests.torture.kinds.change_column import WIDEN
from tests.torture.shapes import Names


def _widen(t: Names) -> Change:
    return {"widen_key": {"table": t["people"], "column": t["age"]}}


KINDS = (Kind("widen_key", lambda s: [_widen(s.names)], (WIDEN,), fits=is_whole),)
