"""The ledger: the only truth about what a database has been through, kept in its own schema `crossfade`.

Plain tables and a hash-chained list of events; leases with epochs decide which runner may write.
"""

from crossfade.ledger.approvals import TokenSpent
from crossfade.ledger.audit import Link, Tampered, export, follow, still_holds, verify
from crossfade.ledger.install import LedgerError, Shape, install, is_installed, require_current
from crossfade.ledger.lease import Lease, LeaseLost, LeaseTaken
from crossfade.ledger.ledger import Ledger
from crossfade.ledger.records import (
    ApprovalRecord,
    ConflictRecord,
    EventRecord,
    GateRecord,
    LegRecord,
    MigrationRecord,
    OldWrites,
    PresentedToken,
    ProgressRecord,
    Starter,
    StepRecord,
    StructureRecord,
    UsageNode,
    UsageStatement,
)
from crossfade.ledger.team import team_members

__all__ = [
    "ApprovalRecord",
    "ConflictRecord",
    "EventRecord",
    "GateRecord",
    "Lease",
    "LeaseLost",
    "LeaseTaken",
    "Ledger",
    "LedgerError",
    "LegRecord",
    "Link",
    "MigrationRecord",
    "OldWrites",
    "PresentedToken",
    "ProgressRecord",
    "Shape",
    "Starter",
    "StepRecord",
    "StructureRecord",
    "Tampered",
    "TokenSpent",
    "UsageNode",
    "UsageStatement",
    "export",
    "follow",
    "install",
    "is_installed",
    "require_current",
    "still_holds",
    "team_members",
    "verify",
]
