"""One JSON object a line: every notice, refusal and ending, for other programs."""

from __future__ import annotations

import dataclasses
import json
import re
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import typer

from crossfade.errors import CrossfadeError
from crossfade.execute import GateAnswered, Notice, Outcome, RunEnded, RunStarted
from crossfade.gates import Answer
from crossfade.spec import Migration
from crossfade.steps.step import StepBase


class JsonLines:
    """Writes to standard output. Each object says `at`, `migration` and `event`; the rest is the event's."""

    def __init__(self) -> None:
        self._migration = ""

    def begun(self, migration: Migration) -> None:
        self._write(migration.id, "begun")

    def at_work(self) -> AbstractContextManager[object]:
        return nullcontext()

    def hear(self, notice: Notice) -> None:
        if isinstance(notice, RunStarted | RunEnded):
            return  # who began it tells both
        fields = {field.name: _plain(getattr(notice, field.name)) for field in dataclasses.fields(notice)}
        if isinstance(notice, GateAnswered):
            fields |= fields.pop("answer")
        # The notice's name as words: StepFinished is `step finished`.
        event = re.sub(r"(?<!^)(?=[A-Z])", " ", type(notice).__name__).lower()
        self._write(self._migration, event, **fields)

    def ended(self, outcome: Outcome) -> None:
        waiting = [{"point": each.point, "gate": each.label, **_plain(each.answer)} for each in outcome.waiting]
        self._write(outcome.migration, "ended", state=outcome.ended, passed=list(outcome.passed), waiting=waiting)

    def refused(self, migration: Migration, error: CrossfadeError) -> None:
        problems = [
            {
                "what": each.what,
                "where": str(each.where) if each.where else None,
                "why": each.why,
                "fix": each.fix,
            }
            for each in error.problems
        ]
        self._write(migration.id, "refused", problems=problems, sqlstate=error.sqlstate)

    def left_out(self, migration: Migration, why: str) -> None:
        self._write(migration.id, "left out", why=why)

    def _write(self, migration: str, event: str, **fields: Any) -> None:
        self._migration = migration
        line = {"at": datetime.now(UTC).isoformat(), "migration": migration, "event": event, **fields}
        typer.echo(json.dumps(line, ensure_ascii=False))


def _plain(value: Any) -> Any:
    match value:
        case StepBase():
            return {"id": value.id, "title": value.title, "leg": str(value.leg), "database": value.database}
        case Answer():
            holds_at = value.holds_at.isoformat() if value.holds_at else None
            return {"state": value.state, "reason": value.reason, "holds_at": holds_at}
        case tuple():
            return [_plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.asdict(value)
        case _:
            return value
