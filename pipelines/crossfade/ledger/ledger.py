"""One database's ledger: what is read from it and written to it.

Methods write in the caller's transaction where there is one, so that a step and its row commit together.
"""

from __future__ import annotations

from datetime import datetime

from crossfade.ledger.approvals import Approvals
from crossfade.ledger.conflicts import Conflicts
from crossfade.ledger.gates import Gates
from crossfade.ledger.migrations import Migrations
from crossfade.ledger.steps import Steps
from crossfade.ledger.structure import Structures
from crossfade.ledger.usage import Usage


class Ledger(Migrations, Steps, Conflicts, Gates, Approvals, Usage, Structures):
    """The ledger of the database behind `connection` (autocommit)."""

    def now(self) -> datetime:
        """The moment by the clock that everything in this ledger is dated with."""
        row = self.connection.execute("SELECT crossfade.clock()").fetchone()
        assert row is not None
        return row[0]
