"""A role that loses a privilege half way, and gets it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from tests.processes import Ending, RunnerProcess
from tests.torture.faults.fault import Fault
from tests.torture.shapes import MIGRATOR

if TYPE_CHECKING:
    from tests.torture.run import Run


class LostOwnership(Fault):
    """The table belongs to another role for a while."""

    name = "lost-ownership"
    most = 3

    def strike(self, run: Run, process: RunnerProcess) -> None:
        if self.left and not process.wait(self.dice.uniform(0.0, 0.5)):
            self.struck += 1
            with run.admin() as admin:
                self._take(run, admin)

    def _take(self, run: Run, admin: psycopg.Connection[object]) -> None:
        admin.execute(sql.SQL("ALTER TABLE {} OWNER TO CURRENT_USER").format(run.table))

    def _give_back(self, run: Run, admin: psycopg.Connection[object]) -> None:
        admin.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(run.table, sql.Identifier(MIGRATOR)))

    def lift(self, run: Run) -> None:
        with run.admin() as admin:
            self._give_back(run, admin)

    def explains(self, ending: Ending) -> bool:
        if ending.error == "Refused" and "nothing was begun" in ending.said:  # it had not begun
            return True
        refused = ending.error in ("ExecutionFailed", "Server") and "42501" in ending.said
        return refused or (ending.error == "LedgerError" and "may not" in ending.said)


class LostLedger(LostOwnership):
    """The role may not write the ledger for a while."""

    name = "lost-ledger"

    def _take(self, run: Run, admin: psycopg.Connection[object]) -> None:
        if run.has_ledger(admin):
            admin.execute(
                sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA crossfade FROM {}").format(sql.Identifier(MIGRATOR))
            )

    def _give_back(self, run: Run, admin: psycopg.Connection[object]) -> None:
        if run.has_ledger(admin):
            admin.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO {}").format(sql.Identifier(MIGRATOR)))
        run.run_out_leases()  # which the runner could not give back

    def excuses(self, error: psycopg.Error) -> bool:
        # The sync triggers note conflicts as the owner of the ledger, who may not write it either.
        return error.sqlstate == "42501"
