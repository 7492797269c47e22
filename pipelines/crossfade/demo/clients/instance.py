"""One instance of a service's program: a thread with a connection of its own that says so many statements a second."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

import psycopg

from crossfade.demo.clients.fleet import FleetProgram
from crossfade.demo.clients.flights import FlightsProgram
from crossfade.demo.clients.memory import Memory
from crossfade.demo.clients.messages import Version
from crossfade.demo.clients.session import Gauge, Session, StatementFailed

_A_SECOND = 25
# Rows are dealt out to so many instances, so that no two of them ever write the same one.
SLOTS = 16


class Instance:
    """Runs from its making until `stop`; `memory` holds what it wrote."""

    def __init__(self, url: str, version: Version, slot: int, gauge: Gauge) -> None:
        self.version = version
        self.memory = Memory()
        self._session = Session(url, version, gauge)
        self._program = _program(self._session, version, self.memory, url, slot)
        self._random = random.Random(slot)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"{version} {slot}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the statement at hand."""
        self._stopping.set()
        self._thread.join()
        self._session.close()

    def _work(self) -> None:
        statements = [*self._program.statements]
        weights = [*self._program.statements.values()]
        due = time.monotonic()
        while not self._stopping.is_set():
            (statement,) = self._random.choices(statements, weights)
            with suppress(StatementFailed):  # counted; the next one shows whether it goes on
                statement()
            # An instance that had to wait does not make up for it: a slow answer means fewer questions.
            due = max(due + 1 / _A_SECOND, time.monotonic())
            self._stopping.wait(due - time.monotonic())


def _program(session: Session, version: Version, memory: Memory, url: str, slot: int) -> FlightsProgram | FleetProgram:
    with psycopg.connect(url) as connection:
        planes = [row[0] for row in connection.execute('SELECT tailnum FROM planes ORDER BY tailnum COLLATE "C"')]
        own = [plane for plane in planes if not plane.startswith("X")][slot::SLOTS]
        if version.service == "fleet":
            return FleetProgram(session, version, memory, own, slot)
        (last,) = connection.execute("SELECT max(id) FROM flights WHERE year = 2013").fetchone() or (0,)
        return FlightsProgram(session, version, memory, range(slot + 1, last + 1, SLOTS), own, slot)
