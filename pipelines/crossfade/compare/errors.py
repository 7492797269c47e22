"""What can be wrong with a comparison itself: it cannot mean anything, or a server could not answer."""

from __future__ import annotations

from crossfade.errors import CrossfadeError, UsageError


class Incomparable(UsageError):
    """As it is asked, the two cannot be compared: a table, column or key is missing."""


class CompareFailed(CrossfadeError):
    """A server could not answer, so nothing is known."""
