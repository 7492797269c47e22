"""What an asset does when it is materialized: its own leg and no other, by the command line's engine and ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetExecutionContext,
    AssetObservation,
    Failure,
    MaterializeResult,
    MetadataValue,
)

from crossfade.errors import CrossfadeError
from crossfade.execute import Outcome, Runner, Waiting
from crossfade.orchestrate import materialized
from crossfade.orchestrate.columns import columns
from crossfade.orchestrate.gate_report import GateReport, answered
from crossfade.orchestrate.gate_sets import GateSet
from crossfade.orchestrate.keys import holder_of, is_tried_by_itself, leg_key, run_tags
from crossfade.orchestrate.listen import Ear
from crossfade.orchestrate.refusals import NotItsTurn, Patience, told_in_words
from crossfade.orchestrate.standing import Standing, read_standing
from crossfade.orchestrate.suite_page import suite_page
from crossfade.plan import Plan
from crossfade.spec import Migration, Project
from crossfade.steps.step import EXPAND, Leg
from crossfade.telemetry import reported


@dataclass(frozen=True)
class Turn:
    """One leg of one migration, as the definitions were loaded. sets: of the whole migration."""

    project: Project
    migration: Migration
    leg: Leg
    sets: Sequence[GateSet]
    patience: Patience

    def take(self, context: AssetExecutionContext) -> MaterializeResult[Any] | None:
        """Do the leg; None when it waits, is paused or was taken back after somebody asked for this, so that what comes
        after it is skipped and the run stays green.

        Raises Failure, never with a traceback of the engine, and RetryRequested for what passes by itself.
        """
        context.instance.add_run_tags(context.run.run_id, run_tags(self.migration, self.leg))
        with told_in_words(context.log, context.retry_number, self.patience):
            standing = read_standing(self.project, self.migration)
            if standing.taken_back and is_tried_by_itself(context.run, context.retry_number):
                self._tell_waits(context, "somebody to let it go on: it was taken back; materialize this to go on")
                return None
            self._refuse_out_of_turn(standing)
            if standing.plan is not None:
                if standing.plan.leg(str(self.leg)) is None:
                    context.log.info(f"nothing to do: the plan of {self.migration.id} has no {self.leg}")
                    return materialized.absent(standing.plan, self.leg)
                if standing.has_passed(self.leg):
                    context.log.info(f"{self.leg} has passed already")
                    return materialized.passed_before(standing.plan, self.leg, standing, self._columns(standing.plan))
            return self._advance(context)

    def _refuse_out_of_turn(self, standing: Standing) -> None:
        """The engine would run all earlier legs too; whoever selected this asset has not asked for those."""
        if standing.plan is None:
            following, why = EXPAND, f"{self.migration.id} has not started"
        elif (found := standing.next_leg) is not None:
            following, why = found, f"{found} has not passed"
        else:
            return
        if following.order < self.leg.order:
            raise NotItsTurn(
                f"{self.leg} of {self.migration.id} comes later: {following} is next",
                why=why,
                fix=f"materialize {following} first, or all assets of the migration: they run in order",
            )

    def _advance(self, context: AssetExecutionContext) -> MaterializeResult[Any] | None:
        own = leg_key(self.migration, self.leg)
        ear = Ear(context.log, lambda measured: context.log_event(AssetObservation(own, metadata=measured)))
        runner = Runner(self.project, reported(self.project, ear), holder=holder_of(context.run.run_id))
        try:
            outcome = runner.advance(self.migration, through=str(self.leg))
        except CrossfadeError:
            with suppress(CrossfadeError):
                self._show_answers(context, runner.plan(self.migration), ear)
            raise
        plan = runner.plan(self.migration)
        self._show_answers(context, plan, ear)
        match outcome.ended:
            case "waiting":
                self._tell_waiting(context, outcome)
                return None
            case "paused":
                self._tell_waits(context, f"somebody to resume it: `crossfade resume {self.migration.id}`")
                return None
            case _:
                return materialized.passed_now(plan, self.leg, ear, self._columns(plan))

    def _tell_waits(self, context: AssetExecutionContext, what: str) -> None:
        context.log.info(f"{self.leg} of {self.migration.id} waits for {what}")
        context.log_event(AssetObservation(leg_key(self.migration, self.leg), metadata={"waits for": what}))

    def _columns(self, plan: Plan) -> dict[str, MetadataValue]:
        return columns(self.project.databases, self.migration, plan, self.leg)

    def _show_answers(self, context: AssetExecutionContext, plan: Plan, ear: Ear) -> None:
        """The checks tell what the engine was told, also when the gates' assets are not in this run."""
        now = datetime.now(UTC)
        for gates in self.sets:
            point = gates.point_in(plan)
            if point is not None and point in ear.answers:
                report = answered(plan, point, ear.answers[point], now)
                page = suite_page(self.project, self.migration) if report.has_asked_suites else {}
                # It takes evaluations of checks too; its annotation leaves them out.
                context.log_event(_evaluation(self.migration, gates, report, page))  # pyright: ignore[reportArgumentType]

    def _tell_waiting(self, context: AssetExecutionContext, outcome: Outcome) -> None:
        if never := [waiting for waiting in outcome.waiting if waiting.answer.state == "never"]:
            what = f"{self.leg} of {self.migration.id} is held up by a gate that will never hold"
            raise Failure("\n".join([what, *map(_line, never)]), allow_retries=False)
        lines = [*map(_line, outcome.waiting)]
        context.log.info("\n  ".join([f"{self.leg} waits, and what comes after it is skipped:", *lines]))
        metadata: dict[str, MetadataValue] = {"waits for": MetadataValue.text("; ".join(lines))}
        known = [each.answer.holds_at for each in outcome.waiting if each.answer.holds_at is not None]
        if known:
            metadata["not before"] = MetadataValue.timestamp(max(known))
        context.log_event(AssetObservation(leg_key(self.migration, self.leg), metadata=metadata))


def _line(waiting: Waiting) -> str:
    return f"{waiting.point}: {waiting.label}: {waiting.answer.reason}"


def _evaluation(
    migration: Migration, gates: GateSet, report: GateReport, page: Mapping[str, MetadataValue]
) -> AssetCheckEvaluation:
    return AssetCheckEvaluation(
        asset_key=leg_key(migration, gates.shown_on),
        check_name=gates.name,
        passed=report.holds,
        metadata={**report.metadata, **page},
        severity=report.severity,
        description=report.summary,
        blocking=True,
    )
