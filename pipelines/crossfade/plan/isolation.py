"""What a walk does to transactions of applications that see one moment from their begin to their end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crossfade.plan.plan import PlannedHazard
from crossfade.steps.step import AnyStep, Walk

_WRITES = "ROW EXCLUSIVE"


def isolation_hazards(steps: Iterable[AnyStep]) -> Iterator[PlannedHazard]:
    """REPEATABLE READ and SERIALIZABLE fail on a row that another transaction wrote since: nothing avoids that."""
    written = {
        str(held.relation) for step in steps if isinstance(step, Walk) for held in step.locks if held.mode == _WRITES
    }
    if written:
        yield PlannedHazard(
            code="repeatable-reads-fail",
            risk="note",
            change="backfill",
            what=f"a transaction of REPEATABLE READ or SERIALIZABLE that writes a row of {', '.join(sorted(written))}"
            " which a batch has written since it began fails with SQLSTATE 40001",
            fix="have such transactions tried again, as PostgreSQL asks of who uses these levels",
        )
