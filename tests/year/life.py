"""Lives through the year: the sensor ticks, its requests are done by the engine, and people do what people do."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from tests.clock import set_clock
from tests.year.drawn import BEGIN, COLUMNS, DAY, GONE, ROWS, Drawn
from tests.year.judge import Judge

from crossfade.changes import CHANGES
from crossfade.composing import sql
from crossfade.execute import Blocked, Runner, pause, resume
from crossfade.execute.purge import expired, purge
from crossfade.gates import GATES
from crossfade.ledger import Ledger, verify
from crossfade.orchestrate.keys import LEG_TAG, MIGRATION_TAG
from crossfade.orchestrate.memory import remembered
from crossfade.orchestrate.tick import Tick
from crossfade.spec import Migration, load_project
from crossfade.spec.fragment import trusted

QUIET_AFTER = 300  # the day from which on nobody takes anything back
LONGEST = 800  # days
_AT_ONCE = 4  # runs
_TICKS = 200  # at one moment
_LATER = 86400.0  # seconds
_LOG = logging.getLogger("year")


@dataclass
class Findings:
    """What was found wrong, and what was lived through."""

    problems: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])


class Year:
    """urls: of fresh databases, by name. drawn: the migrations, in the order in which they may start. every: days from
    one look at them to the next.
    """

    def __init__(
        self, root: Path, urls: Mapping[str, str], drawn: Sequence[Drawn], seed: int, *, every: int = 1
    ) -> None:
        self.found = Findings()
        self._drawn = {each.id: each for each in drawn}
        self._dice = random.Random(seed)
        self._now = BEGIN
        self._every = every
        self._cursor: str | None = None
        self._keys: set[str | None] = set()
        self._approved: dict[str, list[datetime]] = {}
        self._resumes: dict[str, int] = {}
        self._goes_on: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        self._open: dict[str, bool] = {}
        self._at = {name: psycopg.connect(url, autocommit=True) for name, url in urls.items()}
        _write(root, urls, drawn)
        self._project = load_project(root, changes=CHANGES, gates=GATES)
        self._specs: dict[str, Migration] = {each.id: each for each in self._project.migrations}
        self._runner = Runner(self._project)
        self._prepare(drawn)

    def close(self) -> None:
        for connection in self._at.values():
            connection.close()

    def live(self, instance: DagsterInstance) -> Findings:
        """Until all is complete and no old value need be kept; then judge."""
        day = 0
        while day < LONGEST and not self._is_over():
            self._set_clock(BEGIN + day * DAY + timedelta(minutes=self._dice.randrange(24 * 60)))
            self._people(day)
            self._tick_until_nothing_goes(instance)
            self._purge()
            day += self._every
        self.found.counts["days"] = day
        self._judge()
        return self.found

    # --- a day ---------------------------------------------------------------------------------------

    def _set_clock(self, moment: datetime) -> None:
        self._now = moment
        for connection in self._at.values():
            set_clock(connection, moment)
        for drawn in self._drawn.values():
            for door in drawn.doors():
                if self._open.get(door.name, False) != (is_open := door.is_open(moment)):
                    self._open[door.name] = is_open
                    self._at[drawn.databases[0]].execute(
                        "UPDATE door SET is_open = %s WHERE name = %s", (is_open, door.name)
                    )

    def _people(self, day: int) -> None:
        states = self._states()
        for drawn in self._drawn.values():
            state, paused, taken_back = states.get(drawn.id, ("undone", False, False))
            if state == "undone":
                self._start(drawn, day, states)
            elif paused:
                if day >= self._resumes.pop(drawn.id, day):
                    resume(self._project, drawn.id, {})
            elif taken_back:
                if day >= self._goes_on.get(drawn.id, day):
                    self._runner.advance(self._specs[drawn.id])
            elif state == "running" and self._dice.random() < 0.01:
                self._resumes[drawn.id] = day + self._dice.randint(1, 4)
                pause(self._project, drawn.id, {})
                self.found.counts["paused"] += 1
            elif day < QUIET_AFTER and self._dice.random() < (0.01 if state == "running" else 0.003):
                self._take_back(drawn, day)
            self._approve(drawn, day, state)

    def _start(self, drawn: Drawn, day: int, states: Mapping[str, tuple[str, bool, bool]]) -> None:
        if day < max(drawn.starts, self._goes_on.get(drawn.id, 0)):
            return
        too_early = drawn.after is not None and states.get(drawn.after, ("",))[0] != "complete"
        if too_early and self._dice.random() < 0.9:
            return
        try:
            self._runner.advance(self._specs[drawn.id], through="expand")
            self._begun[drawn.id] = day
        except Blocked as blocked:
            self.found.counts["starts refused"] += 1
            if not too_early:
                self.found.problems.append(f"{drawn.id} may not start on day {day}: {blocked}")

    def _approve(self, drawn: Drawn, day: int, state: str) -> None:
        """Once each time it was started: what was said of an earlier start does not count."""
        approval, begun = drawn.approval(), self._begun.get(drawn.id)
        if approval is None or begun is None or day < begun + approval.after or state != "running":
            return
        ledger = Ledger(self._at[drawn.databases[0]])
        record = ledger.migration(drawn.id)
        if record is not None:
            ledger.approve(drawn.id, team=None, plan_digest=record.plan_digest, reason="looked at")
            self._approved.setdefault(drawn.id, []).append(self._now)
            del self._begun[drawn.id]

    def _take_back(self, drawn: Drawn, day: int) -> None:
        passed = Ledger(self._at[drawn.databases[0]]).legs(drawn.id)
        path = [leg for leg in drawn.legs if leg in passed]
        to = self._dice.choice([None, *path[:-1]]) if path else None
        try:
            self._runner.rollback(drawn.id, to=to)
            self._goes_on[drawn.id] = day + self._dice.randint(1, 6)
            self.found.counts["taken back"] += 1
        except Blocked as blocked:
            self.found.counts["rollbacks refused"] += 1
            self._check_refusal(drawn, to, str(blocked))

    def _check_refusal(self, drawn: Drawn, to: str | None, why: str) -> None:
        ledger = Ledger(self._at[drawn.databases[0]])
        if "were purged on" in why:
            is_right = any(event.kind == "old values purged" for event in ledger.events(drawn.id))
        else:
            others = [each for each in self._drawn.values() if each.table == drawn.table and each.id > drawn.id]
            is_right = any(each.id in why for each in others)
        if not is_right:
            self.found.problems.append(f"{drawn.id} was not taken back to {to}: {why}")

    def _tick_until_nothing_goes(self, instance: DagsterInstance) -> None:
        passed_by: set[str] = set()
        self._forget_waits()
        for _ in range(_TICKS):
            tick = Tick(self._project, {}, instance, _LOG)
            result = tick.run(self._cursor)
            self.found.counts["ticks"] += 1
            memory = remembered(result.cursor)
            # By the daemon's clock the next tick is too early to ask these again, however long this one took.
            memory.ask_again = dict.fromkeys(memory.ask_again, time.time() + _LATER)
            self._cursor = memory.written()
            requests = result.run_requests or ()
            keys = [request.run_key for request in requests]
            self.found.problems += [f"the sensor asked twice for {key}" for key in keys if key in self._keys]
            self._keys.update(keys)
            with ThreadPoolExecutor(_AT_ONCE) as pool:  # as the runs that a daemon launches
                for _ in pool.map(self._run, [request.tags for request in requests]):
                    self.found.counts["runs"] += 1
            for request in requests:
                tags = {**request.tags}
                instance.add_run(DagsterRun(job_name="advance", tags=tags, status=DagsterRunStatus.SUCCESS))
            # On a busy machine no tick gets to all of them: it is over when one comes again with nothing to do.
            if result.run_requests:
                passed_by.clear()
            elif memory.after is None or memory.after in passed_by:
                return
            else:
                passed_by.add(memory.after)
        self.found.problems.append(f"{self._now}: the sensor found no end")

    def _forget_waits(self) -> None:
        """Days have gone by for the ledgers since the gates were asked, and seconds for the daemon."""
        memory = remembered(self._cursor)
        memory.ask_again.clear()
        self._cursor = memory.written()

    def _run(self, tags: Mapping[str, str]) -> None:
        """What the run of the requested asset does."""
        self._runner.advance(self._specs[tags[MIGRATION_TAG]], through=tags[LEG_TAG])

    def _purge(self) -> None:
        found = expired(self._project)
        self.found.counts["purged"] += len([*purge(self._project, found, self._runner.holder, self._runner.listen)])

    # --- the end -------------------------------------------------------------------------------------

    def _states(self) -> dict[str, tuple[str, bool, bool]]:
        """By migration, of its own ledger: its state, whether it is paused, and whether it was taken back."""
        return {
            name: (state, paused, taken_back)
            for database, connection in self._at.items()
            for name, state, paused, taken_back in connection.execute(
                "SELECT id, state, paused_at IS NOT NULL, undo_to IS NOT NULL FROM crossfade.migration"
            )
            if self._drawn[name].databases[0] == database
        }

    def _is_over(self) -> bool:
        states = self._states()
        if len(states) < len(self._drawn) or any(state != "complete" for state, *_ in states.values()):
            return False
        kept = "SELECT count(*) FROM crossfade.archive WHERE purged_at IS NULL"
        return all(connection.execute(kept).fetchone() == (0,) for connection in self._at.values())

    def _judge(self) -> None:
        events = {name: [*Ledger(connection).events()] for name, connection in self._at.items()}
        judge = Judge(self._drawn, self._approved, self._now, timedelta(days=self._every + 1))
        self.found.problems += judge.problems(events)
        self.found.counts["stages begun"] = judge.stages
        self.found.counts["stages undone"] = judge.undone
        for name, connection in self._at.items():
            count, broken = verify(connection)
            self.found.counts["events"] += count
            if broken is not None:
                self.found.problems.append(f"the chain of {name} is broken: {broken}")
            self.found.problems += [f"{name}: {each}" for each in self._wrong_tables(name, connection)]

    def _wrong_tables(self, name: str, connection: psycopg.Connection[Any]) -> list[str]:
        """Tables that are not as their migrations, of which each is complete, should have left them."""
        wrong: list[str] = []
        for table in {each.table for each in self._drawn.values() if name in each.databases}:
            kinds = [each.kind for each in self._drawn.values() if each.table == table]
            values = {column: made for kind in ("new", *kinds) for column, made in COLUMNS[kind].items()}
            for gone in (GONE[kind] for kind in kinds if kind in GONE):
                del values[gone]
            columns = [sql.SQL(", {}, ({})").format(sql.Literal(name), trusted(made)) for name, made in values.items()]
            made = sql.SQL(
                "SELECT pg_catalog.jsonb_build_object('id', id{}) FROM pg_catalog.generate_series(1, %s) AS id"
            ).format(sql.SQL("").join(columns))
            there = sql.SQL("SELECT pg_catalog.to_jsonb(t) FROM {} AS t ORDER BY id").format(sql.Identifier(table))
            expected, found = connection.execute(made, (ROWS,)).fetchall(), connection.execute(there).fetchall()
            if expected != found:
                wrong.append(f"{table} is {found}, should be {expected}")
        left = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE '\\_cf\\_%'").fetchall()
        return wrong + [f"{relation} is left" for (relation,) in left]

    def _prepare(self, drawn: Sequence[Drawn]) -> None:
        for name, connection in self._at.items():
            set_clock(connection, BEGIN)
            connection.execute("CREATE TABLE door (name text PRIMARY KEY, is_open boolean NOT NULL DEFAULT false)")
            for each in drawn:
                if each.databases[0] == name:
                    for door in each.doors():
                        connection.execute("INSERT INTO door VALUES (%s)", (door.name,))
            for table in sorted({each.table for each in drawn if name in each.databases}):
                with suppress(psycopg.errors.DuplicateTable):
                    connection.execute(
                        sql.SQL("CREATE TABLE {} (id bigint PRIMARY KEY, a text, b text, c bigint)").format(
                            sql.Identifier(table)
                        )
                    )
                    connection.execute(
                        sql.SQL(
                            "INSERT INTO {} SELECT id, 'Ada ' || id, 'Bob ' || id, id * 10"
                            " FROM pg_catalog.generate_series(1, %s) AS id"
                        ).format(sql.Identifier(table)),
                        (ROWS,),
                    )


def _write(root: Path, urls: Mapping[str, str], drawn: Sequence[Drawn]) -> None:
    """The project's files; a URL is read from a file of its own."""
    specs = root / "migration_specs"
    specs.mkdir(parents=True)
    lines: list[str] = []
    for name, url in urls.items():
        (root / f"{name}.url").write_text(url)
        lines.append(f"{name}: {{url: 'file:{root}/{name}.url'}}\n")
    (root / "databases.yaml").write_text("".join(lines))
    for each in drawn:
        (specs / f"{each.id}.yaml").write_text(each.text)
