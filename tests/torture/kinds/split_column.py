"""Two columns in place of one: what the second one holds follows from the first, so the rows tell it no more."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind, Pair
from tests.torture.kinds.add_column import lower, upper
from tests.torture.shapes import Names

SPLIT = Pair("name", "label", upper, lower)


def split(t: Names) -> Change:
    name, label = t.q("name"), t.q("label")
    into = {
        t["label"]: {"type": "text", "nullable": False, "up": f"upper({name})", "comment": "in capitals"},
        "initial": {"type": "text", "up": f"left({name}, 1)", "check": "length(initial) < 2"},
    }
    return {"split_column": {"table": t["people"], "column": t["name"], "into": into, "down": f"lower({label})"}}


KINDS = (Kind("split_column", lambda s: [split(s.names)], (SPLIT,)),)
