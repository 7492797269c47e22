"""A contract that waits too long: the old shape goes on costing, and nobody may remember why it is still there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from crossfade.spec import Migration, Settings
from crossfade.spec.values import parse_duration


def longest_soaks(gates: Sequence[Mapping[str, Any]]) -> dict[str, timedelta]:
    """By point of a plan, how long its soaks want to wait. gates: those of the plan, as the ledger has them."""
    soaks: dict[str, timedelta] = {}
    for at in gates:
        lasting = [parse_duration(gate["body"]["soak"]) for gate in at["gates"] if gate["kind"] == "soak"]
        if lasting:
            soaks[at["point"]] = max(lasting)
    return soaks


def is_overdue(
    could_begin: datetime | None, asked_at: datetime | None, migration: Migration | None, settings: Settings
) -> bool:
    """A stage that could have begun then has waited for longer than its spec or project says.

    asked_at: now, by the ledger's clock. migration: None where there is no spec any more.
    """
    own = migration.head.contract.warn_after if migration is not None else None
    limit = own or settings.contract.warn_after
    if could_begin is None or asked_at is None or limit is None:
        return False
    return asked_at - could_begin > limit
