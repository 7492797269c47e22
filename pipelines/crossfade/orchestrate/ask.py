"""What a check of gates does when it is run: it asks them through the engine, when it is their time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from dagster import AssetCheckExecutionContext, AssetCheckResult

from crossfade.execute import Lookout
from crossfade.orchestrate.gate_report import GateReport, answered, recorded, unasked
from crossfade.orchestrate.gate_sets import GateSet
from crossfade.orchestrate.listen import Ear
from crossfade.orchestrate.refusals import Patience, told_in_words
from crossfade.orchestrate.standing import Standing, read_standing
from crossfade.orchestrate.suite_page import suite_page
from crossfade.plan import Plan
from crossfade.spec import Migration, Project
from crossfade.steps.step import Leg


@dataclass(frozen=True)
class Question:
    """One set of gates of one migration, as the definitions were loaded."""

    project: Project
    migration: Migration
    gates: GateSet
    patience: Patience

    def ask(self, context: AssetCheckExecutionContext) -> AssetCheckResult:
        """Answers from the ledger once the leg has gone past them; asked anew while they are what is waited for."""
        op = context.op_execution_context
        with told_in_words(context.log, op.retry_number, self.patience):
            report = self._report(Ear(context.log))
            page = suite_page(self.project, self.migration) if report.has_asked_suites else {}
        return AssetCheckResult(
            passed=report.holds,
            severity=report.severity,
            description=report.summary,
            metadata={**report.metadata, **page},
        )

    def _report(self, ear: Ear) -> GateReport:
        standing = read_standing(self.project, self.migration)
        plan = standing.plan
        if plan is None:
            return GateReport(nothing=f"{self.migration.id} has not started.", early=True)
        leg = self.gates.leg_in(plan)
        point = self.gates.point_in(plan)
        if leg is None or point is None:
            return GateReport(nothing=f"The plan has no {self.gates.leg or 'contract stage'}: nothing is to be asked.")
        if self._is_past(standing, leg):
            return recorded(plan, point, standing.gates)
        if (early := self._why_early(standing, plan, leg)) is not None:
            return unasked(plan, point, early)
        with Lookout(self.project, ear) as lookout:
            looked = lookout.look(self.migration)
        if looked.leg is None:  # paused, or being undone
            return unasked(plan, point, f"{self.migration.id} is paused or being undone")
        return answered(plan, point, ear.answers.get(point, {}), datetime.now(UTC))

    def _is_past(self, standing: Standing, leg: Leg) -> bool:
        return standing.has_passed(leg) or (self.gates.moment == "before" and standing.has_finished(leg))

    def _why_early(self, standing: Standing, plan: Plan, leg: Leg) -> str | None:
        following = standing.next_leg
        if following is not None and following != leg:
            return f"it is asked when {plan.before(leg)} has passed; {following} is next"
        if self.gates.moment == "after" and not standing.has_finished(leg):
            return f"it is asked when the steps of {leg} are done"
        return None
