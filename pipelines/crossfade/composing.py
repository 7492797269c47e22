"""psycopg's `sql`, imported when the first statement is composed.

Whoever reads specs imports the vocabulary with all that composes SQL in it, and composes none. The driver is a fifth of
a second, more than a third of what `crossfade check` takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import sql
else:

    class _Sql:
        def __getattr__(self, name: str) -> object:
            from psycopg import sql as composition

            return getattr(composition, name)

    sql = _Sql()

__all__ = ["sql"]
