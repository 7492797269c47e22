"""Three databases of three services, changed by one migration that is disturbed at a message of its coordinator."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

import psycopg
from psycopg import conninfo, sql
from tests.processes import Act, Ending
from tests.scene import Scene

from crossfade.errors import CrossfadeError
from crossfade.execute import Runner
from crossfade.execute.fault import Fault

NAMES = ("flights", "fleet", "crew")
Then = Literal["up", "rollback"]
Look = dict[str, tuple[str, list[tuple[object, ...]]]]
_ROWS = 40
SPEC = """
changes:
  - add_column: {table: flights, column: plane, type: text, up: upper(code)}
  - rename_column: {table: planes, from: code, to: tail, database: fleet}
  - add_column: {table: people, column: badge, type: text, up: upper(code), nullable: false, database: crew}
backfill: {workers: 1}
locks: {timeout: 200ms, budget: 400ms}
"""
TABLES = {"flights": "flights", "fleet": "planes", "crew": "people"}
_LEGS = "SELECT leg, finished_at IS NOT NULL FROM crossfade.leg WHERE migration = 'm'"


def make_tables(scene: Scene) -> None:
    """One in each of the three databases."""
    for name, table in TABLES.items():
        scene.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, code text NOT NULL)", name)
        scene.sql(f"INSERT INTO {table} SELECT i, 'n' || i FROM generate_series(1, {_ROWS}) AS i", name)


class Place:
    """scene: with the three databases, which get a table each, and the migration `m`."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        make_tables(scene)
        scene.spec(SPEC)
        self.before = self.look()

    def kill(self, message: int, act: Act = "advance") -> bool:
        """Run it in a process that kills itself at that message; False when it ended before."""
        ending = self._process(act, f"any:{message}")
        assert ending.killed or ending.outcome, ending
        self._run_out_leases()
        return ending.killed

    def cut(self, message: int, database: str) -> bool:
        """Run it; at that message the database ends all sessions and lets nobody in. False when it ended before."""
        left = [message]

        def cut_off(_point: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                self._let_in(database, False)

        with suppress(CrossfadeError):  # whatever it says of it: what counts is what it leaves
            _runner(self.scene, cut_off).advance(self.scene.migration())
        self._let_in(database, True)
        self._run_out_leases()
        return left[0] <= 0

    def messages(self) -> int:
        """How many a run has that nothing disturbs; it completes."""
        count = [0]

        def another(_point: str) -> None:
            count[0] += 1

        assert _runner(self.scene, another).advance(self.scene.migration()).ended == "complete"
        return count[0]

    def half_begun(self) -> list[str]:
        """Phases that are begun in one database while another has not ended the one before: there is to be none."""
        wrong: list[str] = []
        plan = self.scene.runner().plan(self.scene.migration())
        known = {name: self._legs(name) for name in NAMES}
        for before, leg in zip(plan.legs, plan.legs[1:], strict=False):
            if any(str(leg) in legs for legs in known.values()):
                wrong += [f"{leg} but {name} {before}" for name in NAMES if not known[name].get(str(before))]
        return wrong

    def finish(self, then: Then, undisturbed: Look) -> list[str]:
        """Complete it or take it back; gives what is not as after a run that nothing disturbs."""
        ending = self._process("advance" if then == "up" else "rollback", "")
        never_began = ending.error == "Blocked" and "has not started" in ending.said
        if not (then == "rollback" and never_began) and ending.outcome != ("complete" if then == "up" else "undone"):
            return [str(ending)]
        wanted, found = undisturbed if then == "up" else self.before, self.look()
        wrong = [f"{name} is not as it should be" for name in NAMES if found[name] != wanted[name]]
        if then == "up":
            wrong += [
                f"{name}: its ledger says {state}" for name in NAMES if (state := self._state(name)) != "complete"
            ]
        return wrong

    def look(self) -> Look:
        """Schema and rows of each."""
        return {
            name: (self.scene.schema(name), self.scene.sql(f"SELECT * FROM {table} ORDER BY id", name))
            for name, table in TABLES.items()
        }

    def _legs(self, name: str) -> dict[str, bool]:
        """leg -> whether it is finished there."""
        if not self._has_ledger(name):
            return {}
        return {str(leg): bool(finished) for leg, finished in self.scene.sql(_LEGS, name)}

    def _state(self, name: str) -> str | None:
        record = self.scene.ledger(name).migration("m")
        return record.state if record is not None else None

    def _process(self, act: Act, fault: str) -> Ending:
        return self.scene.start_process(fault=fault, act=act).ending()

    def _run_out_leases(self) -> None:
        for name in NAMES:
            if self._has_ledger(name):
                self.scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'", name)

    def _has_ledger(self, name: str) -> bool:
        return self.scene.one("SELECT to_regclass('crossfade.leg') IS NOT NULL", name)

    def _let_in(self, database: str, allowed: bool) -> None:
        self.scene.close()
        url = self.scene.urls[database]
        name = str(conninfo.conninfo_to_dict(url)["dbname"])
        with psycopg.connect(url, dbname="postgres", autocommit=True) as admin:
            statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            admin.execute(statement.format(sql.Identifier(name), sql.Literal(allowed)))
            if not allowed:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def _runner(scene: Scene, fault: Fault) -> Runner:
    """One in this process, with a fault that a process of its own would have from its environment."""
    runner = Runner(scene.project())
    runner._fault = fault  # pyright: ignore[reportPrivateUsage]
    return runner
