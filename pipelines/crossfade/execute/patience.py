"""How a walk waits: while the server is under pressure, and after an error that passes by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg

from crossfade.execute.errors import LockBudgetExceeded, Paused
from crossfade.execute.site import Site
from crossfade.execute.throttle import Throttle
from crossfade.server_words import told
from crossfade.steps.step import AnyStep

_ROOM_EVERY = 0.5  # seconds
_FIRST_DELAY, _LONGEST_DELAY = 0.4, 5.0


class Patience:
    """Of one session that writes batches.

    over: set when nobody waits for this session any more. tell: called while the server is under pressure.
    """

    def __init__(
        self,
        site: Site,
        step: AnyStep,
        throttle: Throttle,
        over: threading.Event,
        tell: Callable[[], None] | None = None,
    ) -> None:
        self._site = site
        self._step = step
        self._throttle = throttle
        self._over = over
        self._tell = tell
        self._delay = _FIRST_DELAY
        self._since = time.monotonic()

    @property
    def tried_for(self) -> float:
        """Seconds without success, those not counted for which the server was under pressure."""
        return time.monotonic() - self._since

    def succeed(self) -> None:
        self._delay, self._since = _FIRST_DELAY, time.monotonic()

    def wait_for_room(self) -> None:
        """While the throttle gives a reason. Raises Paused when a person says so or it is over."""
        began = time.monotonic()
        while self._throttle.reason is not None:
            if self._tell is not None:
                self._tell()
            self._wait(_ROOM_EVERY)
            if self._site.ledger.paused(self._site.migration):
                raise Paused
        self._since += time.monotonic() - began

    def rest(self, wrote: float) -> None:
        """After so many seconds of writing, leave the server to others as the spec says (gh-ost's --nice-ratio)."""
        if resting := wrote * self._site.settings.nice_ratio:
            self._wait(resting)
            self._since += resting

    def try_again(self, error: psycopg.Error) -> None:
        """Wait longer each time; raises LockBudgetExceeded when nothing has succeeded for as long as the budget."""
        if self.tried_for > self._site.settings.lock_budget:
            raise LockBudgetExceeded(
                f"{self._step.title}: no batch could be written for {self.tried_for:.0f} s in {self._site.name}",
                why=f"last: {told(error)}",
                fix="end the session that holds the lock (see pg_locks), or try again when the table is quieter;"
                " what is done is kept",
            ) from None
        self._wait(self._delay)
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def _wait(self, seconds: float) -> None:
        over = self._over.wait(seconds)
        if self._site.stopping.is_set():
            self._site.confirm()
        if over:
            raise Paused
