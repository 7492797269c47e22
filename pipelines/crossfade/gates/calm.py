"""calm: few statements failed while old columns were hidden for a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field

from crossfade.gates._failure import asking
from crossfade.gates._gate import Answer, Gate, GateContext

if TYPE_CHECKING:
    from crossfade.ledger import Ledger

_STAGE = "brownout"


class CalmGate(Gate):
    """Hold when no more statements than this failed for want of a column during the stage `brownout`."""

    calm: Annotated[int, Field(ge=0)] = Field(description="How many may have failed.")
    without_log: bool = Field(
        default=False, description="true: hold too where the server's log could not be read, so that nobody knows."
    )

    @property
    def label(self) -> str:
        return f"calm {self.calm}"

    def ask(self, context: GateContext) -> Answer:
        ended = [*_trials(context.ledger, context.migration)]
        record = context.ledger.migration(context.migration)
        for database in record.plan.get("databases", ()) if record is not None else ():
            if database != context.database:
                with asking(self.label), context.open(database) as session:
                    ended += _trials(type(context.ledger)(session), context.migration)
        if not ended:
            return Answer("waits", "there was no brownout yet")
        evidence: Mapping[str, Any] = {"trials": ended}
        counted = [cast(int, each["failed"]) for each in ended if each.get("failed") is not None]
        failed = f"{sum(counted)} statements failed for want of the hidden columns"
        again = f"roll back to the stage before, then `crossfade up {context.migration}`"
        if sum(counted) > self.calm:
            reason = f"{failed}: the server's log has them; mend whoever ran them, and try again: {again}"
            return Answer("waits", reason, evidence=evidence)
        if len(counted) == len(ended):
            return Answer("holds", failed, evidence=evidence)
        rolled_back = sum(cast(int, each.get("rolled_back", 0)) for each in ended)
        unread = f"the server's log could not be read; {rolled_back} transactions were rolled back, whatever for"
        if self.without_log:
            return Answer("holds", unread, evidence=evidence)
        reason = f"{unread}: let the role read the log, and try again: {again}; or have this gate overridden"
        return Answer("waits", reason, evidence=evidence)


def _trials(ledger: Ledger, migration: str) -> Iterator[Mapping[str, Any]]:
    """What was counted in a database."""
    steps = ledger.steps(migration).values()
    return (step.detail for step in steps if step.leg == _STAGE and step.state == "done")
