"""Each version sees its own column, or its own name of one, by views."""

from __future__ import annotations

from tests.torture.kinds._kind import Change, Kind
from tests.torture.kinds.change_column import LOWER, RETYPE, WIDEN, lowered, retype, widen
from tests.torture.kinds.rename_column import RENAME, rename
from tests.torture.shapes import Names


def _shown(change: Change) -> Change:
    return {kind: body | {"strategy": "versions"} for kind, body in change.items()}


def _renamed(t: Names) -> Change:
    return _shown(rename(t))


KINDS = (
    Kind("versions_retype", lambda s: [_shown(retype(s.names))], (RETYPE,), views=True),
    Kind("versions_rules", lambda s: [_shown(lowered(s.names))], (LOWER,), views=True),
    Kind("versions_beside", lambda s: [_shown(widen(s.names)), rename(s.names)], (WIDEN, RENAME), views=True),
    Kind("versions_rename", lambda s: [_renamed(s.names)], (RENAME,), views=True, fits=lambda s: bool(s.key)),
)
