"""PgBouncer's console: https://www.pgbouncer.org/usage.html#admin-console."""

from __future__ import annotations

import threading
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from crossfade.errors import CrossfadeError

_CONNECT = 5  # seconds


class PoolerFailed(CrossfadeError):
    """The pooler does not answer, or not as it should."""


class PoolerBusy(Exception):
    """Transactions of clients did not end in time; they go on."""


class Console:
    """The console of a pooler, for one of its databases. It has the simple protocol only, and no transactions."""

    def __init__(self, address: str, entry: str) -> None:
        self._address = address
        self._entry = entry
        self._connection = self._connect()

    def pause(self, within: float) -> None:
        """Clients' next transactions wait from now on. Raises PoolerBusy when those that run take longer than that.

        The command returns when the last of them is over, so it is given from a session of its own.
        """
        waiting = self._connect()
        failed: list[psycopg.Error] = []

        def pause() -> None:
            try:
                waiting.execute(self._command("PAUSE"))
            except psycopg.Error as error:
                failed.append(error)

        thread = threading.Thread(target=pause, name="pause of the pooler", daemon=True)
        thread.start()
        thread.join(within)
        if thread.is_alive():
            self.resume()
            thread.join(_CONNECT)
            waiting.close()
            raise PoolerBusy
        waiting.close()
        if failed:
            raise self._failed("PAUSE", failed[0])

    def resume(self) -> None:
        """Clients go on; nothing happens where they do."""
        if self._is_paused():
            self._run("RESUME")

    def reload(self) -> None:
        """It reads its configuration anew."""
        self._connection.execute("RELOAD")

    def target(self) -> tuple[str, str, str]:
        """Host, port and database where it leads clients."""
        found = self._row()
        return found["host"] or "", str(found["port"]), found["database"]

    def pool_mode(self) -> str:
        mode = self._row()["pool_mode"]
        if mode:
            return mode
        settings = {row[0]: row[1] for row in self._connection.execute("SHOW CONFIG").fetchall()}
        return str(settings["pool_mode"])

    def close(self) -> None:
        self._connection.close()

    def _is_paused(self) -> bool:
        return str(self._row()["paused"]) == "1"

    def _row(self) -> dict[str, Any]:
        cursor = self._connection.execute("SHOW DATABASES")
        assert cursor.description
        names = [column.name for column in cursor.description]
        for row in cursor.fetchall():
            if row[0] == self._entry:
                return dict(zip(names, row, strict=True))
        raise PoolerFailed(
            f"the pooler has no database {self._entry}",
            fix="name the entry that clients connect to under `pooler: {database: ...}`",
        )

    def _run(self, command: LiteralString) -> None:
        try:
            self._connection.execute(self._command(command))
        except psycopg.Error as error:
            raise self._failed(command, error) from None

    def _command(self, command: LiteralString) -> sql.Composed:
        return sql.SQL("{} {}").format(sql.SQL(command), sql.Identifier(self._entry))

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(
                self._address, dbname="pgbouncer", autocommit=True, prepare_threshold=None, connect_timeout=_CONNECT
            )
        except (psycopg.OperationalError, psycopg.ProgrammingError):
            raise PoolerFailed(
                "the pooler's console does not let us in",
                fix="see that the address in `pooler: {admin: ...}` is that of PgBouncer, and its user one of"
                " admin_users",
            ) from None

    def _failed(self, command: str, error: psycopg.Error) -> PoolerFailed:
        return PoolerFailed(
            f"the pooler refuses {command} {self._entry}",
            why=error.diag.message_primary or "it does not answer any more",
            fix="see its log",
        )
