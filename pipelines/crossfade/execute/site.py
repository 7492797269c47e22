"""A database under our lease: its sessions, its ledger, and the heartbeat that keeps the lease."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg

from crossfade.execute.errors import is_lost
from crossfade.execute.fault import Fault
from crossfade.execute.going_on import command_to_go_on
from crossfade.execute.notice import Listener
from crossfade.execute.session import limit, open_session
from crossfade.ledger import LeaseLost, Ledger, lease, require_current
from crossfade.plan import Settings
from crossfade.spec import Database
from crossfade.steps.step import AnyStep

# Of deadlock_timeout. The rest is for the way to the server and back.
_LONGEST_HOLD = 0.9


class Site:
    """One database of a migration while a runner works on it.

    root: of the project, where functions of its specs are found.
    work: the session of DDL and checks. watch: renews the lease and looks at who blocks whom.
    beside: the other databases of the migration, by name, for a step that is about two.
    paused: a person had paused the migration when the latest transaction began.
    stopping: set when no further transaction may begin: the lease is lost, or the run is being cancelled.
    """

    def __init__(
        self,
        database: Database,
        migration: str,
        holder: str,
        settings: Settings,
        listen: Listener,
        fault: Fault,
        root: Path,
        beside: Mapping[str, Site] | None = None,
    ) -> None:
        self.root = root
        self.beside: Mapping[str, Site] = {} if beside is None else beside
        self.database = database
        self.migration = migration
        self.settings = settings
        self.listen = listen
        self.fault = fault
        self.stopping = threading.Event()
        self.paused = False
        self.watch = open_session(database, f"crossfade watch {migration}"[:63])
        try:
            require_current(self.watch)
            self.lease = lease.acquire(self.watch, migration, holder)
        except BaseException:
            self.watch.close()
            raise
        self.application = lease.session_name(migration, self.lease.epoch)
        self._open: list[psycopg.Connection[Any]] = []
        self._guard = threading.Lock()
        self.work = self.session()
        self._lost: LeaseLost | None = None
        self._heart = threading.Thread(target=self._beat, name=f"lease of {migration}", daemon=True)
        self._closing = threading.Event()
        self._heart.start()

    @property
    def name(self) -> str:
        return self.database.name

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.work)

    @property
    def to_go_on(self) -> str:
        """The command to run once what stopped a step is mended: the ledger knows whether it was a step of the undo."""
        record = self.ledger.migration(self.migration)
        assert record is not None
        return command_to_go_on(record.id, record.state, record.undo_to)

    @property
    def longest_hold(self) -> float:
        """Seconds for which DDL may keep a lock while it waits for another. Clients that begin to wait for it meanwhile
        look for a deadlock later than that, and the one who looks is the one who is ended.
        """
        return self.deadlock_timeout * _LONGEST_HOLD

    @cached_property
    def deadlock_timeout(self) -> float:
        """Seconds that a session waits for a lock before it looks for a deadlock, of which it is the victim."""
        row = self.work.execute(
            "SELECT extract(epoch FROM pg_catalog.current_setting('deadlock_timeout')::interval)::float8"
        ).fetchone()
        assert row is not None
        return row[0]

    def session(self) -> psycopg.Connection[Any]:
        """One more session of this epoch; closed with the site."""
        connection = open_session(self.database, self.application)
        with self._guard:
            self._open.append(connection)
        return connection

    def revive(self) -> None:
        """A new work session when the old one is lost; raises DatabaseUnreachable while the server is away."""
        try:
            self.work.execute("SELECT 1")
        except psycopg.Error:
            self.work.close()
            self.work = self.session()
        self.confirm()

    def forget_settings(self) -> None:
        """What somebody's own statements have SET in the work session, and left there."""
        self.work.close()
        self.work = self.session()

    def done(self) -> tuple[object, ...]:
        """What there is to show for the work so far; it differs once a step or a batch has been done or undone."""
        steps = frozenset((step.id, step.state) for step in self.ledger.steps(self.migration).values())
        return steps, frozenset(self.ledger.progress(self.migration).values())

    def confirm(self) -> None:
        """Before a statement that cannot run in `transaction`: raises LeaseLost unless the lease is ours.

        Whoever takes it over after that ends our sessions, and the statement with them.
        """
        if self.stopping.is_set():
            raise self._lost or LeaseLost(f"the run of {self.migration} is being stopped")
        lease.fence(self.work, self.lease)

    @contextmanager
    def noting(self) -> Generator[Ledger]:
        """The ledger, to be written while the lease is ours."""
        with self.transaction() as work:
            yield Ledger(work)

    def begin(self, step: AnyStep) -> None:
        """Note that a step is under way which does not note it in a transaction of its own."""
        with self.noting() as ledger:
            ledger.step_running(self.migration, step.id, str(step.leg))

    @contextmanager
    def transaction(self, connection: psycopg.Connection[Any] | None = None) -> Generator[psycopg.Connection[Any]]:
        """A transaction that commits only while the lease is ours."""
        if self.stopping.is_set():
            raise self._lost or LeaseLost(f"the run of {self.migration} is being stopped")
        connection = connection or self.work
        with connection.transaction():
            self.paused = lease.fence(connection, self.lease)
            yield connection
            self.fault("before commit")
        self.fault("after commit")

    def limit_lock_waits(self, work: psycopg.Connection[Any]) -> None:
        """Until the transaction ends, wait for a lock no longer than the spec allows."""
        limit(work, lock_timeout=self.settings.lock_timeout)

    def cancel(self) -> None:
        """Stop what our sessions are doing on the server, now."""
        self.stopping.set()
        with self._guard:
            for connection in self._open:
                with suppress(psycopg.Error):
                    if not connection.closed:
                        connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """Give the lease back and close all sessions."""
        self._closing.set()
        self._heart.join(timeout=5)
        with suppress(psycopg.Error):
            lease.release(self.watch, self.lease)
        with self._guard:
            for connection in (*self._open, self.watch):
                with suppress(psycopg.Error):
                    connection.close()

    def _beat(self) -> None:
        while not self._closing.wait(lease.TERM.total_seconds() / 4):
            try:
                lease.renew(self.watch, self.lease)
            except LeaseLost as error:
                self._lost = error
                self.cancel()
                return
            except psycopg.Error as error:
                # The server is away: the lease runs on its clock, and whoever comes first takes it.
                if is_lost(error):
                    with suppress(Exception):
                        self.watch = open_session(self.database, f"crossfade watch {self.migration}"[:63])
