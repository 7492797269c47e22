"""What a leg's materialization tells: how much was done, how long it took, by which plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dagster import MaterializeResult, MetadataValue, TableColumn, TableMetadataValue, TableRecord, TableSchema

from crossfade.execute import StepFinished
from crossfade.ledger import StepRecord
from crossfade.orchestrate.gate_report import GateReport, answered, recorded
from crossfade.orchestrate.listen import Ear
from crossfade.orchestrate.standing import Standing
from crossfade.plan import Plan
from crossfade.report.plan import leg_markdown
from crossfade.steps.step import Leg

_STEP = TableColumn("step", "string")
_DATABASE = TableColumn("database", "string")
_MEASURES = [
    TableColumn("seconds", "float"),
    TableColumn("rows", "int"),
    TableColumn("batches", "int"),
    TableColumn("attempts", "int"),
    TableColumn("lock wait", "float", description="seconds"),
]


def passed_now(plan: Plan, leg: Leg, ear: Ear, columns: Mapping[str, MetadataValue]) -> MaterializeResult[Any]:
    """The leg passed in this run. Steps that another runner had done already are not counted."""
    now = datetime.now(UTC)
    return MaterializeResult(
        metadata={
            "rows": sum(step.rows for step in ear.steps),
            "batches": sum(step.batches for step in ear.steps),
            "seconds": round(sum(step.seconds for step in ear.steps), 3),
            "lock wait seconds": round(sum(step.lock_wait for step in ear.steps), 3),
            "retries": ear.retries,
            "steps": _steps(plan, ear.steps),
            **_gates(leg, lambda point: answered(plan, point, ear.answers.get(point, {}), now)),
            **_about(plan, leg),
            **columns,
        }
    )


def passed_before(
    plan: Plan, leg: Leg, standing: Standing, columns: Mapping[str, MetadataValue]
) -> MaterializeResult[Any]:
    """The leg had passed when it was asked for: by the command line, or by an earlier run."""
    steps = [record for record in standing.steps.values() if record.leg == str(leg)]
    metadata: dict[str, MetadataValue | int] = {
        "rows": sum(step.rows for step in steps),
        "batches": sum(map(_batches, steps)),
        "note": MetadataValue.text("It had passed already; nothing was done now."),
        **_gates(leg, lambda point: recorded(plan, point, standing.gates)),
        **_about(plan, leg),
        **columns,
    }
    record = standing.legs[str(leg)]
    if record.passed_at is not None:
        metadata["passed at"] = MetadataValue.timestamp(record.passed_at)
    return MaterializeResult(metadata=metadata)


def absent(plan: Plan, leg: Leg) -> MaterializeResult[Any]:
    """The catalog gave the plan nothing to do in this stage."""
    legs = ", ".join(map(str, plan.legs))
    note = f"Nothing to do: the plan has no {leg}. It has: {legs}."
    return MaterializeResult(metadata={"note": MetadataValue.text(note)})


def _gates(leg: Leg, report: Callable[[str], GateReport]) -> dict[str, MetadataValue]:
    """A table for each point of the leg at which gates stand."""
    reports = {f"gates {point}": report(point) for point in (f"before {leg}", f"after {leg}")}
    return {name: found.table for name, found in reports.items() if found.lines}


def _about(plan: Plan, leg: Leg) -> dict[str, MetadataValue]:
    return {
        "databases": MetadataValue.text(", ".join(plan.databases)),
        "plan": MetadataValue.md(leg_markdown(plan, leg)),
        "plan digest": MetadataValue.text(plan.digest),
    }


def _steps(plan: Plan, steps: Sequence[StepFinished]) -> TableMetadataValue:
    """In a panel that cuts off what is too wide: without what is the same in all rows."""
    places = [_DATABASE] if len(plan.databases) > 1 else []
    schema = TableSchema([_STEP, *places, *_MEASURES])
    names = {column.name for column in schema.columns}
    rows = [{name: value for name, value in _row(step).items() if name in names} for step in steps]
    return MetadataValue.table([TableRecord(row) for row in rows], schema=schema)


def _row(done: StepFinished) -> dict[str, str | int | float]:
    return {
        "step": done.step.title,
        "database": done.step.database,
        "seconds": round(done.seconds, 3),
        "rows": done.rows,
        "batches": done.batches,
        "attempts": done.attempts,
        "lock wait": round(done.lock_wait, 3),
    }


def _batches(step: StepRecord) -> int:
    found = step.detail.get("batches", 0)
    return found if isinstance(found, int) else 0
