"""The plan that a migration was frozen with when it started."""

from __future__ import annotations

from pydantic import ValidationError

from crossfade.execute.errors import Blocked
from crossfade.ledger import MigrationRecord
from crossfade.plan import Plan


def thaw(record: MigrationRecord) -> Plan:
    """The plan a migration was frozen with; raises Blocked when this crossfade cannot read it."""
    try:
        return Plan.model_validate(record.plan)
    except ValidationError:
        raise Blocked(
            f"the frozen plan of {record.id} is of another version of crossfade",
            why="a plan is run as it was reviewed, by a version that understands it",
            fix="finish or roll back the migration with the version that started it",
        ) from None
