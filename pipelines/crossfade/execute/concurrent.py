"""A statement that builds, rebuilds or drops an index concurrently, watched while it runs.

It blocks no client, and waits for every transaction that is older than each of its phases. A lock_timeout would cut it
short at the first of them, so that it is watched instead: who holds it up is told, and it is cancelled when it has
waited for longer than the lock budget, or when a person pauses the migration.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import asdict

import psycopg
from psycopg import errors, sql

from crossfade.execute.blockers import blocking
from crossfade.execute.errors import LockBudgetExceeded, Paused
from crossfade.execute.notice import Blocker, HeldUp
from crossfade.execute.site import Site
from crossfade.ledger import LeaseLost, Ledger
from crossfade.steps.step import BuildIndex, DropIndex, RebuildIndex

_EVERY = 1.0  # seconds between two looks
_TOLD_AGAIN = 30.0  # seconds, while the same sessions hold it up


def run_concurrently(
    site: Site, step: BuildIndex | DropIndex | RebuildIndex, statement: sql.SQL | sql.Composed, patience: float
) -> None:
    """Run it to its end. patience: seconds for which it may wait for other sessions, in all.

    Raises Paused, or LockBudgetExceeded naming who held it up; then what it leaves is for the caller to see.
    """
    with _Watch(site, step, patience) as watch:
        try:
            site.work.execute(statement)
        except errors.QueryCanceled:
            if watch.why is None:  # it was somebody else who cancelled it
                raise
            raise watch.why from None


class _Watch:
    """why: what it has cancelled the statement for."""

    def __init__(self, site: Site, step: BuildIndex | DropIndex | RebuildIndex, patience: float) -> None:
        self.why: Paused | LockBudgetExceeded | None = None
        self._site = site
        self._step = step
        self._patience = patience
        self._waited = 0.0
        self._told: tuple[float, frozenset[int]] = (0.0, frozenset())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="concurrent", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()  # so that it cancels no later statement

    def _look_on(self) -> None:
        looked = time.monotonic()
        while not self._over.wait(min(_EVERY, self._patience)):
            now = time.monotonic()
            # A look that fails is no reason to stop: the statement meets the same trouble, or the next look succeeds.
            with suppress(psycopg.Error, LeaseLost):
                self._look(now - looked)
            looked = now
            if self.why is not None:
                with suppress(psycopg.Error):
                    self._site.work.cancel_safe(timeout=5)

    def _look(self, passed: float) -> None:
        site = self._site
        blockers = blocking(site.watch, [site.work.info.backend_pid])
        if blockers:
            self._waited += passed
            self._tell(blockers)
        if Ledger(site.watch).paused(site.migration):
            self.why = Paused()
        elif self._waited > self._patience:
            self.why = self._out_of_budget(blockers)
            self._note("lock budget used up", blockers)

    def _tell(self, blockers: tuple[Blocker, ...]) -> None:
        last, known = self._told
        pids = frozenset(blocker.pid for blocker in blockers)
        if pids == known and time.monotonic() - last < _TOLD_AGAIN:
            return
        self._told = (time.monotonic(), pids)
        self._site.listen(HeldUp(self._step, self._waited, blockers))
        if pids != known:
            self._note("held up", blockers)

    def _out_of_budget(self, blockers: tuple[Blocker, ...]) -> LockBudgetExceeded:
        held = "; ".join(map(str, blockers))
        return LockBudgetExceeded(
            f"{self._step.title}: it waited {self._waited:.0f} s for other sessions in {self._site.name}",
            why=f"last for {held}" if held else None,
            fix="end these sessions, or try again when their transactions are over; an index that was not finished is"
            " dropped, at the latest when this is run again",
        )

    def _note(self, kind: str, blockers: tuple[Blocker, ...]) -> None:
        evidence = {
            "step": self._step.id,
            "waited": round(self._waited, 1),
            "blockers": [asdict(blocker) for blocker in blockers],
        }
        with self._site.transaction(self._site.watch) as watch:
            self._site.limit_lock_waits(watch)
            Ledger(watch).event(self._site.migration, kind, evidence)
