"""Many changes of one table in one migration."""

from __future__ import annotations

from tests.torture.kinds._kind import Kind, is_whole
from tests.torture.kinds.add_column import token
from tests.torture.kinds.change_column import RETYPE, WIDEN, retype, widen
from tests.torture.kinds.create_index import indexes
from tests.torture.kinds.drop_column import LEAVE, leave
from tests.torture.kinds.rename_column import RENAME, rename

KINDS = (
    Kind(
        "all_at_once",
        lambda s: [
            rename(s.names),
            widen(s.names),
            retype(s.names),
            leave(s.names),
            token(s),
            *(indexes(s.names)[2:] if is_whole(s) else ()),
        ],
        (RENAME, WIDEN, RETYPE, LEAVE),
        opaque=("token",),
    ),
)
