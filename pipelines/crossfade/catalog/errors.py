"""Why a catalog cannot be read."""

from __future__ import annotations

from crossfade.errors import CrossfadeError


class UnsupportedServer(CrossfadeError):
    """The server is older than what crossfade works on."""


class CatalogLocked(CrossfadeError):
    """A table stayed locked exclusively while the catalog was to be read.

    holders: each such table with the session that has it, in words.
    """

    holders: tuple[str, ...] = ()
