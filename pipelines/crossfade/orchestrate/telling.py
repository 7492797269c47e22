"""Sends news to people, by any service that Apprise knows: each address is told once, and tried again if need be."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from dagster import SensorResult
from pydantic import TypeAdapter, ValidationError

from crossfade.errors import CrossfadeError

ADDRESSES = "CROSSFADE_ALERTS"  # Apprise URLs, which hold secrets; white space between them
_Told = TypeAdapter(dict[str, dict[str, datetime]])

Told = dict[str, dict[str, datetime]]  # by address, as `mark_of` has it: which news it took, with when they were so


class AlertNotSent(CrossfadeError):
    """A service did not take an alert."""


@dataclass(frozen=True)
class News:
    """at: when it was so, by the clock that `again` is measured by."""

    said: str
    at: datetime


def addresses() -> Sequence[str]:
    return os.environ.get(ADDRESSES, "").split()


def mark_of(address: str) -> str:
    """Tells a few addresses apart in the cursor, and is too short to find a secret by."""
    return sha256(address.encode()).hexdigest()[:4]


def told_before(cursor: str | None) -> Told:
    """Nothing of a cursor of another form."""
    try:
        return _Told.validate_json(cursor or "{}")
    except ValidationError:
        return {}


def tell(
    news: Mapping[str, News], before: Told, titled: Callable[[Sequence[str]], str], *, again: timedelta, nothing: str
) -> SensorResult:
    """Send each address what it has not been told, in one message; the result's cursor says who was told what.

    news: by name. before: names that may be forgotten are left out. titled: the title of a message with these names.
    again: after what time the same is told anew. nothing: what the sensor says when there is no news. Raises
    AlertNotSent when nobody took anything, which does not repeat an address: it holds secrets.
    """
    told: Told = {}
    taken = failed = 0
    for address in addresses():
        known = dict(before.get(mark_of(address), {}))
        new = [name for name, each in news.items() if name not in known or each.at - known[name] >= again]
        if new and not _is_taken(address, titled(new), "\n".join(news[name].said for name in new)):
            failed += 1
        else:
            known |= {name: news[name].at for name in new}
            taken += len(new)
        told[mark_of(address)] = known
    if failed and not taken:
        raise _not_sent(failed)  # otherwise who has taken it must be kept, and of a tick that fails nothing is
    said = [f"{failed} addresses did not take it; they are tried again"] if failed else []
    return SensorResult(
        skip_reason="\n".join([*said, *(each.said for each in news.values())]) or nothing,
        cursor=_Told.dump_json(told).decode(),
    )


def _is_taken(address: str, title: str, body: str) -> bool:
    from apprise import Apprise, NotifyFormat

    service = Apprise(address)
    return bool(len(service) and service.notify(body, title, body_format=NotifyFormat.TEXT))


def _not_sent(failed: int) -> AlertNotSent:
    return AlertNotSent(
        f"{failed} of {len(addresses())} addresses in {ADDRESSES} did not take an alert",
        why="an address is not one that Apprise knows, or its service did not answer or refused it",
        fix="try each with Apprise's own command: `apprise --body=test ADDRESS`",
    )
