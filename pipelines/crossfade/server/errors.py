"""What can go wrong with a PostgreSQL server we start or are given."""

from __future__ import annotations

from crossfade.errors import CrossfadeError


class ServerError(CrossfadeError):
    """A server could not be found, started, reached, or asked for something it cannot do."""
