"""Sessions and statements of ours that are ended, and a server that crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, LiteralString

import psycopg
from psycopg import sql
from tests.processes import Ending, RunnerProcess
from tests.torture.faults.fault import Fault
from tests.torture.shapes import MIGRATOR

if TYPE_CHECKING:
    from tests.torture.run import Run


class EndedSessions(Fault):
    """pg_terminate_backend of a session of ours, again and again."""

    name = "ended-sessions"
    most = 12
    statement: ClassVar[LiteralString] = "pg_terminate_backend"

    def strike(self, run: Run, process: RunnerProcess) -> None:
        query = sql.SQL(
            "SELECT {}(pid) FROM (SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'crossfade%'"
            " AND datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) AS one"
        ).format(sql.SQL(self.statement))
        with run.admin() as admin:
            while self.left and not process.wait(self.dice.uniform(0.02, 0.2)):
                self.struck += len(admin.execute(query).fetchall())

    def explains(self, ending: Ending) -> bool:
        return is_unanswered(ending)

    def lift(self, run: Run) -> None:
        run.run_out_leases()  # which a runner could not give back without a session


class CancelledStatements(EndedSessions):
    """Statements of ours are cancelled, by anybody who may. The role also has a statement_timeout that is far too
    short for any of them: each session takes it off as it begins, so that only what comes before that can meet it.
    """

    name = "cancelled-statements"
    statement = "pg_cancel_backend"

    def prepare(self, admin: psycopg.Connection[object], database: str) -> None:
        admin.execute(
            sql.SQL("ALTER ROLE {} IN DATABASE {} SET statement_timeout = '20ms'").format(
                sql.Identifier(MIGRATOR), sql.Identifier(database)
            )
        )

    def explains(self, ending: Ending) -> bool:
        return ending.error in ("ExecutionFailed", "Server") and "57014" in ending.said


class RestartedServer(Fault):
    """The server is killed, or shut down, and comes back."""

    name = "restarted-server"
    delays_writers = True
    most = 2

    def strike(self, run: Run, process: RunnerProcess) -> None:
        while self.left and not process.wait(self.dice.uniform(0.02, 0.3)):
            self.struck += 1
            if self.dice.random() < 0.7:
                run.place.server.kill()
            run.place.server.restart()

    def explains(self, ending: Ending) -> bool:
        return is_unanswered(ending)

    def lift(self, run: Run) -> None:
        run.run_out_leases()


def is_unanswered(ending: Ending) -> bool:
    """The runner says that a database did not answer."""
    said = ending.said
    return (
        ending.error == "DatabaseUnreachable"
        or (ending.error == "ExecutionFailed" and "did not answer" in said)
        or (ending.error == "Server" and ("SQLSTATE None" in said or "SQLSTATE 57P" in said))
    )
