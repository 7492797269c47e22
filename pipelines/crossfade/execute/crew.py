"""Several workers take units of blocks and write batches of the size that suits the server at the moment."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import psycopg

from crossfade.execute.errors import PASSING, ExecutionFailed, Paused, is_lost
from crossfade.execute.notice import Progress
from crossfade.execute.pace import Pace
from crossfade.execute.patience import Patience
from crossfade.execute.site import Site
from crossfade.execute.throttle import Throttle
from crossfade.execute.units import Rewritten, Unit
from crossfade.server_words import told
from crossfade.steps.step import AnyStep, Relation

_TELL_EVERY = 0.5  # seconds
_LOOK_EVERY = 1.0


class Worker(Protocol):
    """Writes batches on sessions of its own."""

    def advance(self, unit: Unit, blocks: int) -> tuple[Unit, int]:
        """Do the next `blocks` of a unit; gives the unit as it is then, and how many rows were written.

        Raises Rewritten when the leaf's file is another one.
        """
        ...

    @property
    def connection(self) -> psycopg.Connection[Any]: ...

    def close(self) -> None: ...


class Crew:
    """Workers over the open units of one walk; ends when all are walked or one of them cannot go on.

    progress: the id under which the ledger keeps how far they are. hire: gives a worker, in its own thread. anew: fixes
    the units of a leaf again whose table was rewritten. most: so many workers. look: called now and then with a
    worker's connection; what it raises ends the walk.
    """

    def __init__(
        self,
        site: Site,
        step: AnyStep,
        progress: str,
        throttle: Throttle,
        units: list[Unit],
        *,
        hire: Callable[[], Worker],
        anew: Callable[[Relation], None],
        most: int,
        look: Callable[[psycopg.Connection[Any]], None] | None = None,
    ) -> None:
        self._site = site
        self._step = step
        self._throttle = throttle
        self._units = deque(units)
        self._hire = hire
        self._anew = anew
        self._look = look
        self._most = min(most, len(units))
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._over = threading.Event()
        self._rewritten: set[Relation] = set()
        totals = site.ledger.progress(site.migration)[progress]
        self._blocks = totals.blocks
        self._blocks_done = totals.blocks_done
        self._rows = totals.rows
        self._batches = totals.batches
        self._look_again = 0.0
        self._recent: deque[tuple[float, int, int]] = deque(maxlen=20)

    def work(self) -> None:
        threads = [threading.Thread(target=self._work, name=f"worker {n}", daemon=True) for n in range(self._most)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(timeout=_TELL_EVERY / self._most)
                self._tell()
        except BaseException:
            self._fail(Paused())
            self._site.cancel()
            raise
        if self._failure is not None:
            raise self._failure
        for leaf in self._rewritten:
            self._anew(leaf)

    def _work(self) -> None:
        worker: Worker | None = None
        try:
            worker = self._hire()
            pace = Pace(self._site.settings.batch_target)
            patience = Patience(self._site, self._step, self._throttle, self._over)
            while (unit := self._next()) is not None:
                self._walk(worker, pace, patience, unit)
        except BaseException as error:
            self._fail(error)
        finally:
            if worker is not None:
                worker.close()

    def _fail(self, error: BaseException) -> None:
        """The first one tells; the others end."""
        self._failure = self._failure or error
        self._over.set()

    def _next(self) -> Unit | None:
        with self._lock:
            while self._units:
                unit = self._units.popleft()
                if unit.leaf not in self._rewritten:
                    return unit
        return None

    def _walk(self, worker: Worker, pace: Pace, patience: Patience, unit: Unit) -> None:
        while unit.next_block < unit.end_block:
            patience.wait_for_room()
            if self._over.is_set():
                raise Paused
            began = time.monotonic()
            try:
                before = unit.next_block
                unit, rows = worker.advance(unit, pace.blocks)
            except Rewritten:
                self._rewritten.add(unit.leaf)
                return
            except PASSING as error:
                patience.try_again(error)
                pace.smaller()
                continue
            except psycopg.Error as error:
                # A lost connection may have lost only the answer to a commit: the runner connects anew, and the ledger
                # tells then where each unit is.
                if is_lost(error):
                    raise
                raise ExecutionFailed(
                    f"{self._step.title}: {told(error)}",
                    why=f"PostgreSQL refused a batch in {self._site.name} (SQLSTATE {error.sqlstate})",
                    fix=f"mend the cause and run {self._site.to_go_on} again: what is done is kept",
                    sqlstate=error.sqlstate,
                ) from None
            patience.succeed()
            walked = unit.next_block - before
            wrote = time.monotonic() - began
            pace.took(walked, wrote, self._throttle.share)
            self._count(walked, rows)
            self._look_round(worker)
            if unit.next_block < unit.end_block:
                patience.rest(wrote)

    def _look_round(self, worker: Worker) -> None:
        if self._look is None:
            return
        with self._lock:
            began = time.monotonic()
            if began < self._look_again:
                return
            self._look(worker.connection)
            now = time.monotonic()
            # It may scan the table: never for more than a small share of the time.
            self._look_again = now + max(_LOOK_EVERY, 10 * (now - began))

    def _count(self, blocks: int, rows: int) -> None:
        with self._lock:
            self._blocks_done += blocks
            self._rows += rows
            self._batches += 1

    def _tell(self) -> None:
        now = time.monotonic()
        self._recent.append((now, self._rows, self._blocks_done))
        then, rows, blocks = self._recent[0]
        rate = (self._rows - rows) / (now - then) if now > then else 0.0
        speed = (self._blocks_done - blocks) / (now - then) if now > then else 0.0
        left = (self._blocks - self._blocks_done) / speed if speed else None
        share = self._blocks_done / self._blocks if self._blocks else 1.0
        self._site.listen(Progress(self._step, share, self._rows, self._batches, rate, left, self._throttle.reason))
