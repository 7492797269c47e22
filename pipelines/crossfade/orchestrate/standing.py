"""Where a migration stands by the ledger of its own database: one connection, a handful of queries, no gate asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crossfade.execute import reading
from crossfade.execute.frozen import thaw
from crossfade.ledger import GateRecord, Ledger, LegRecord, StepRecord, is_installed
from crossfade.plan import Plan
from crossfade.spec import Migration, Project
from crossfade.steps.step import Leg


@dataclass(frozen=True)
class Standing:
    """plan: the one it runs by; None when it has not started, or was undone.

    taken_back: to the beginning or to a leg, and nobody has let it go on since.
    """

    plan: Plan | None
    taken_back: bool = False
    legs: Mapping[str, LegRecord] = field(default_factory=dict[str, LegRecord])
    steps: Mapping[str, StepRecord] = field(default_factory=dict[str, StepRecord])
    gates: tuple[GateRecord, ...] = ()

    @property
    def next_leg(self) -> Leg | None:
        """The first leg of the plan that has not passed."""
        if self.plan is None:
            return None
        return next((leg for leg in self.plan.legs if not self.has_passed(leg)), None)

    def has_passed(self, leg: Leg) -> bool:
        record = self.legs.get(str(leg))
        return record is not None and record.passed_at is not None

    def has_finished(self, leg: Leg) -> bool:
        """Its steps are done; the gates after it may not hold yet."""
        record = self.legs.get(str(leg))
        return record is not None and record.finished_at is not None


def read_standing(project: Project, migration: Migration) -> Standing:
    """Raises DatabaseUnreachable and its kin."""
    with reading(project.databases[migration.head.database], "crossfade standing") as connection:
        if not is_installed(connection):
            return Standing(None)
        ledger = Ledger(connection)
        record = ledger.migration(migration.id)
        if record is None or record.state == "undone":
            return Standing(None, taken_back=record is not None)
        return Standing(
            thaw(record),
            record.state == "running" and record.undo_to is not None,
            ledger.legs(migration.id),
            ledger.steps(migration.id),
            ledger.gates(migration.id),
        )
