"""One run: a migration of one kind on a table of one shape, under writers, while one fault strikes."""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psycopg
import yaml
from psycopg import sql
from tests.processes import Act, Ending, Order, RunnerProcess
from tests.scene import Scene
from tests.torture import compare
from tests.torture.faults import Fault
from tests.torture.kinds import Kind, Value
from tests.torture.model import WRITTEN, Model
from tests.torture.place import Place, project_directory
from tests.torture.report import Result
from tests.torture.shapes import APPLICATION, MIGRATOR, PARTED, Shape
from tests.torture.writers import Writers

from crossfade.ledger import verify

Course = Literal["complete", "undo", "restore"]
"""Where a run ends: with the new shape; taken back before contract; or taken back from the end, by the archive."""

MOST_ATTEMPTS = 150
LONGEST = 1.7  # seconds for a statement of a writer: locks.timeout of 1 s, and what a loaded machine adds


class Wrong(Exception):
    """The run cannot go on: a runner failed in a way that its fault does not explain."""


@dataclass(frozen=True)
class Scenario:
    """What a run does, without the fault."""

    kind: Kind
    shape: Shape
    course: Course

    def spec(self, locks: dict[str, str]) -> str:
        # Without a key, or where what is hidden is the archive itself, `drop` waits until that is over.
        keep = "1h" if self.shape.key and self.kind.back_until is None else "100ms"
        body: dict[str, Any] = {
            "changes": self.kind.changes(self.shape),
            "backfill": {"target": "20ms"},
            "locks": locks,
            "contract": {"stages": [{"archive": {"keep": keep}}, {"drop": {}}]},
        }
        return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=1000)

    @property
    def last_leg(self) -> str | None:
        """How far it goes before it turns back, or ends; None: to the end."""
        if self.course == "restore" and self.kind.back_until is not None:
            return self.kind.back_until
        if self.course != "restore" or not self.kind.leaves or self.shape.key:
            return None
        # Where a table has no key the values are gone with the hidden column; where nothing is in step, no sync ends.
        return "archive" if any(pair.down for pair in self.kind.pairs) else "retire"


class Torture:
    """Runs on one place; what undisturbed runs leave is kept."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._undisturbed: dict[tuple[str, str, Course], tuple[str, Any]] = {}

    def run(self, kind: Kind, shape: Shape, fault: type[Fault], seed: int) -> Result:
        dice = random.Random(f"{kind.name}/{shape.name}/{fault.name}/{seed}")
        result = Result(kind.name, shape.name, fault.name, seed)
        course: Course = dice.choices(("complete", "undo", "restore"), (5, 2, 2))[0]
        scenario = Scenario(kind, shape, course)
        began = time.monotonic()
        try:
            wanted = self._left_undisturbed(scenario)
            with Run(self.place, scenario, fault(dice), result) as run:
                run.live(f"{seed}")
                run.compare(wanted)
        except Exception as error:
            result.problems.append(f"{type(error).__name__}: {error}")
        result.found.seconds = time.monotonic() - began
        return result

    def _left_undisturbed(self, scenario: Scenario) -> tuple[str, Any]:
        """The schema, and how often `once` was done, after a run without writers and without a fault."""
        known = (scenario.kind.name, scenario.shape.name, scenario.course)
        if known not in self._undisturbed:
            result = Result(scenario.kind.name, scenario.shape.name, "none", 0)
            with Run(self.place, scenario, Fault(random.Random(0)), result) as run:
                before = run.scene.schema()
                run.pass_alone()
                left = run.scene.schema()
                if scenario.course == "undo":
                    compare.compare_schema(left, before, result)
                if scenario.course == "restore":
                    compare.compare_schema(_unordered(left), _unordered(before), result)
                self._undisturbed[known] = (left, run.done_once())
            if result.problems:
                raise Wrong("undisturbed: " + "; ".join(result.problems))
        return self._undisturbed[known]


class Run:
    """One database, its project, its writers, and the runners that come and go."""

    def __init__(self, place: Place, scenario: Scenario, fault: Fault, result: Result) -> None:
        self.place = place
        self.scenario = scenario
        self.fault = fault
        self.result = result
        self.model: Model
        self.database: str
        self.order_at_hand: Order
        self._stack = ExitStack()

    def __enter__(self) -> Run:
        enter = self._stack.enter_context
        try:
            self.root: Path = enter(project_directory())
            tablespace = enter(self.fault.tablespace(self.place))
            self.database = enter(self.place.database(self.scenario.shape, tablespace))
            port = enter(self.fault.port(self.place))
            self._environment = {"APP_URL": self.place.url(self.database, MIGRATOR, port)}
            self._application = self.place.url(self.database, APPLICATION, port)
            self.scene = Scene(self.root, {"app": self.place.url(self.database, MIGRATOR)}, lambda _, __: None)
            self._stack.callback(self.scene.close)
            self.scene.spec(self.scenario.spec(self.fault.locks))
            with self.admin() as admin:
                self.fault.prepare(admin, self.database)
                if script := self.scenario.kind.beside(self.scenario.shape):
                    admin.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(MIGRATOR)))
                    admin.execute(sql.SQL(script))  # pyright: ignore[reportArgumentType]
                    admin.execute("RESET ROLE")
                self.model = Model(self.scenario.shape, self.scenario.kind, _rows(admin, self.scenario.shape))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def admin(self) -> psycopg.Connection[Any]:
        return self.place.admin(self.database)

    @property
    def table(self) -> sql.Identifier:
        """The one that is there from the first phase to the last."""
        return sql.Identifier(PARTED if self.scenario.kind.into else self.scenario.shape.names["people"])

    def has_ledger(self, admin: psycopg.Connection[Any]) -> bool:
        return _one(admin, "SELECT to_regclass('crossfade.migration') IS NOT NULL")

    # --- the course ----------------------------------------------------------------------------------

    def pass_alone(self) -> None:
        """The whole course, without writers."""
        through_validate = self.scenario.course == "undo"
        self._empty_unmappable()
        self._drive("advance", "validate" if through_validate else self.scenario.last_leg)
        if self.scenario.course != "complete":
            self._drive("rollback", None)

    def live(self, seed: str) -> None:
        """The whole course as a deployment goes: old writers first, new ones beside them, then the new ones alone."""
        with self._writers(seed) as writers:
            writers.play("old", "old")
            self._drive("advance", "expand")
            writers.play("old", "new")
            self._drive("advance", "backfill")
            writers.manners.dirty, writers.manners.filled = False, True
            writers.play("old", "new")
            writers.mend()
            self._drive("advance", "validate")
            if self.scenario.course == "undo":
                writers.play("old")
                self._drive("rollback", None)
            else:
                writers.manners.settled = True
                writers.play("new", "new")
                self._drive("advance", self.scenario.last_leg)
            if self.scenario.course == "restore":
                writers.play(*() if self.scenario.kind.into else ("neutral",))
                self._drive("rollback", None)
            writers.play()
        found = self.result.found
        found.statements, found.failed, found.longest = writers.statements, len(writers.failures), writers.longest
        found.looked_up = writers.unknown
        if found.longest > LONGEST and not self.fault.delays_writers:
            self.result.problems.append(f"a writer waited for {found.longest:.1f} s")
        self.result.problems.extend(writers.failures[:5])

    @contextmanager
    def _writers(self, seed: str) -> Generator[Writers]:
        writers = Writers(self._connect_application, self.model, seed)
        writers.excused = self.fault.excuses
        try:
            yield writers
        finally:
            writers.play()

    def _connect_application(self, name: str) -> psycopg.Connection[Any]:
        # Prepared statements would fail at cutover, as the manual says.
        return psycopg.connect(
            self._application, autocommit=True, prepare_threshold=None, application_name=name, connect_timeout=10
        )

    def _empty_unmappable(self) -> None:
        """Without writers nobody mends rows in conflict."""
        t = self.scenario.shape.names
        with self.admin() as admin:
            for ident, pair in self.model.unmappable():
                admin.execute(
                    sql.SQL("UPDATE {} SET {} = NULL WHERE {} = %s").format(
                        sql.Identifier(t["people"]), sql.Identifier(t[pair.old]), sql.Identifier(t["ident"])
                    ),
                    (ident,),
                )

    # --- runners -------------------------------------------------------------------------------------

    def _drive(self, act: Act, leg: str | None) -> None:
        """Start runner after runner until one says that it is done."""
        for _ in range(MOST_ATTEMPTS):
            self.order_at_hand = Order(self.root, "m", self._environment, act, leg)
            process = RunnerProcess(replace(self.order_at_hand, fault=self.fault.arm()))
            try:
                self.fault.strike(self, process)
                ending = process.ending()
            finally:
                process.kill()
            if ending.killed:
                self.result.found.kills += 1
                self.run_out_leases()
            elif ending.outcome == "waiting":
                time.sleep(0.05)
            elif ending.outcome is not None or self._is_taken_back(ending):
                break
            elif self.fault.explains(ending):
                self.fault.lift(self)
            else:
                raise Wrong(f"{act} {leg or 'to the end'}: {ending.error}: {ending.said}")
        else:
            raise Wrong(f"{act} {leg or 'to the end'} does not end in {MOST_ATTEMPTS} attempts")
        self.fault.lift(self)
        self.result.found.disturbed = self.fault.struck

    def _is_taken_back(self, ending: Ending) -> bool:
        """It came when the way back was at its end."""
        return self.order_at_hand.act == "rollback" and "has not started" in ending.said

    def run_out_leases(self) -> None:
        """As time does: a dead runner's lease ends."""
        with self.admin() as admin:
            if self.has_ledger(admin):
                admin.execute("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    def check_ending(self, ending: Ending) -> None:
        """Of a runner beside the one that is driven: it did its work, or said in one of our errors why not."""
        known = ("LeaseTaken", "LeaseLost", "ExecutionFailed", "DatabaseUnreachable", "Server")
        if not (ending.killed or ending.outcome is not None or ending.error in known or self._is_taken_back(ending)):
            raise Wrong(f"a second runner: {ending.error}: {ending.said}")

    # --- what is left --------------------------------------------------------------------------------

    def compare(self, undisturbed: tuple[str, Any]) -> None:
        schema, once = undisturbed
        complete = self.scenario.course == "complete"
        with self.admin() as admin:
            wanted = self.model.as_new() if complete else self.model.as_old()
            tables = compare.tables_of(self.model, complete=complete)
            compare.compare_rows(admin, self.model, wanted, self.result, tables)
            compare.compare_beside(admin, self.model, wanted, self.result, tables)
            if self.scenario.kind.into and not complete:
                alone = self.model.as_alone()
                compare.compare_rows(admin, self.model, alone, self.result, sql.Identifier(PARTED))
            if complete:
                compare.compare_opaque(admin, self.model, self.result)
        compare.compare_schema(self.scene.schema(), schema, self.result)
        if (done := self.done_once()) != once:
            self.result.problems.append(f"done {done}, an undisturbed run does {once}")
        self._compare_ledger()

    def done_once(self) -> Any:
        query = self.scenario.kind.once
        with self.admin() as admin:
            return _one(admin, query) if query and self.scenario.course == "complete" else None

    def _compare_ledger(self) -> None:
        with self.admin() as admin:
            _, tampered = verify(admin)
            states = dict(admin.execute("SELECT state, count(*) FROM crossfade.step GROUP BY 1").fetchall())
            state = _one(admin, "SELECT state FROM crossfade.migration")
            left = _one(admin, "SELECT count(*) FROM pg_index WHERE NOT indisvalid")
            open_conflicts = _one(admin, "SELECT count(*) FROM crossfade.conflict WHERE resolved_at IS NULL")
        complete = self.scenario.course == "complete"
        problems = {
            f"the chain of events is broken: {tampered}": tampered is not None,
            f"the migration is {state}": state != ("complete" if complete else "undone"),
            f"steps are {states}": not states.keys() <= ({"done"} if complete else {"undone"}),
            f"{left} indexes are invalid": left != 0,
            f"{open_conflicts} conflicts are open": complete and open_conflicts != 0,
            f"of ours is left: {self.scene.own_objects()}": bool(self.scene.own_objects()),
        }
        self.result.problems.extend(words for words, wrong in problems.items() if wrong)


def _rows(admin: psycopg.Connection[Any], shape: Shape) -> dict[int, dict[str, Value]]:
    t = shape.names
    listed = sql.SQL(", ").join(sql.Identifier(t[name]) for name in ("ident", *WRITTEN))
    rows = admin.execute(sql.SQL("SELECT {} FROM {}").format(listed, sql.Identifier(t["people"]))).fetchall()
    return {row[0]: dict(zip(WRITTEN, row[1:], strict=True)) for row in rows}


def _one(admin: psycopg.Connection[Any], query: str) -> Any:
    row = admin.execute(sql.SQL(query)).fetchone()  # pyright: ignore[reportArgumentType]
    return row[0] if row else None


def _unordered(schema: str) -> str:
    """A dump whose columns stand in no order: those that come back stand last."""
    return "\n".join(sorted(line.rstrip(",") for line in schema.splitlines()))
