"""One database's ledger: what is read from it and written to it.

Methods write in the caller's transaction where there is one, so that a step and its row commit together.
"""

from __future__ import annotations

from crossfade.ledger.approvals import Approvals
from crossfade.ledger.conflicts import Conflicts
from crossfade.ledger.gates import Gates
from crossfade.ledger.migrations import Migrations
from crossfade.ledger.steps import Steps
from crossfade.ledger.usage import Usage


class Ledger(Migrations, Steps, Conflicts, Gates, Approvals, Usage):
    """The ledger of the database behind `connection` (autocommit)."""
