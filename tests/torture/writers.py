"""Old and new versions of an application that write all the time, and tell the model what was committed."""

from __future__ import annotations

import random
import string
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from tests.torture.kinds import Value
from tests.torture.model import Model, Version
from tests.torture.shapes import AREAS, PARTED, UNSEEN

Connect = Callable[[str], psycopg.Connection[Any]]
"""Opens a session under the given application_name."""

VIEWS = "public_m"  # of the new version, where it sees the table by views
RECONNECT_FOR = 60.0  # seconds
PAUSE = 0.004

_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"


@dataclass
class Manners:
    """How writers behave at the moment; the run changes it as the migration goes on.

    dirty: they write values that cannot be mapped. settled: only values that are the same before and after cutover.
    filled: every row is in the new version's tables.
    """

    dirty: bool = True
    settled: bool = False
    filled: bool = False


class Writers:
    """Writers in threads, each with a session of its own. `play` says which versions are running."""

    def __init__(self, connect: Connect, model: Model, seed: str) -> None:
        self.manners = Manners()
        self.failures: list[str] = []
        self.statements = 0
        self.unknown = 0  # outcomes that had to be looked up
        self.longest = 0.0
        self.excused: Callable[[psycopg.Error], bool] = lambda _: False
        self._connect = connect
        self._model = model
        self._seed = seed
        self._cast: list[_Writer] = []
        self._hired = 0

    def play(self, *versions: Version) -> None:
        """These versions run from now on, and no others; those that stop have ended when this returns."""
        for writer in self._cast:
            writer.stop.set()
        for writer in self._cast:
            writer.thread.join(RECONNECT_FOR + 30)
            assert not writer.thread.is_alive(), "a writer does not end"
        self._cast = [_Writer(self, version, self._number()) for version in versions]
        for writer in self._cast:
            writer.thread.start()

    def mend(self) -> None:
        """The old version writes rows that are in conflict again, with values that can be mapped."""
        writer = _Writer(self, "old", self._number())
        writer.connect()
        for ident, pair in [*self._model.unmappable()]:
            writer.update(ident, {pair.old: writer.value(pair.old, clean=True)})
        writer.connection.close()

    def tell(self, seconds: float, failure: str | None = None) -> None:
        self.statements += 1
        self.longest = max(self.longest, seconds)
        if failure is not None:
            self.failures.append(failure)

    def _number(self) -> int:
        self._hired += 1
        return self._hired

    @property
    def model(self) -> Model:
        return self._model

    @property
    def connect(self) -> Connect:
        return self._connect

    @property
    def seed(self) -> str:
        return self._seed


class _Writer:
    """One session of one version."""

    def __init__(self, crew: Writers, version: Version, number: int) -> None:
        self._crew = crew
        self._model = crew.model
        self._kind = crew.model.kind
        self._names = crew.model.shape.names
        self._version: Version = version
        self._dice = random.Random(f"{crew.seed}/writer {number}")
        self._token = f"{version} {number}"
        self._written = 0
        self._connected = 0
        self.connection: psycopg.Connection[Any]
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"writer {self._token}", daemon=True)

    def _run(self) -> None:
        try:
            self.connect()
            while not self.stop.is_set():
                self._act()
                time.sleep(PAUSE)
            self.connection.close()
        except Exception as error:
            self._crew.failures.append(f"{self._token} broke: {type(error).__name__}: {error}")

    def connect(self) -> None:
        """A new session, as soon as the server lets us in."""
        deadline = time.monotonic() + RECONNECT_FOR
        while True:
            self._connected += 1
            try:
                self.connection = self._crew.connect(self._session)
                if self._by_views:
                    self.connection.execute(f"SET search_path TO {VIEWS}, public")
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    @property
    def _by_views(self) -> bool:
        return self._kind.views and self._version == "new"

    @property
    def _session(self) -> str:
        """The name of the session at hand: no other one has or had it."""
        return f"{self._token} session {self._connected}"

    def _act(self) -> None:
        dice = self._dice.random()
        if self._version == "neutral":
            self._update_one(("grade",))
        elif dice < 0.12:
            self._insert()
        elif dice < 0.20:
            self._delete()
        elif dice < 0.28:
            self._update_two()
        elif dice < 0.33 and self._model.shape.partitioned and not (self._kind.sets or self._crew.manners.settled):
            self._update_one(("area",))
        elif dice < 0.45:
            self._update_one(("grade",))
        else:
            self._update_one(self._some_columns())

    # --- what it writes ------------------------------------------------------------------------------

    def _columns(self) -> tuple[str, ...]:
        """The columns that this version knows and writes, `grade` aside."""
        old = ["name", "age", "zip", "note", "score"]
        if self._kind.sets or not any(pair.old == "score" for pair in self._kind.pairs):
            old.remove("score")
        if self._version == "old":
            return tuple(old)
        arriving = [pair.new for pair in self._kind.pairs if pair.new is not None and not pair.swap]
        known = [name for name in old if not any(p.old == name and not p.swap for p in self._kind.pairs)]
        return (*known, *arriving, *self._kind.adds)

    def _some_columns(self) -> tuple[str, ...]:
        known = self._columns()
        return tuple(self._dice.sample(known, self._dice.randint(1, min(2, len(known)))))

    def value(self, column: str, *, clean: bool = False) -> Value:
        """Something to write into a column of this version."""
        made = self._made(column, clean=clean or self._by_views or not self._crew.manners.dirty)
        if self._by_views:
            for pair in self._kind.pairs:
                if pair.swap and pair.old == column:
                    return pair.up(made)
        if self._crew.manners.settled:
            for pair in self._kind.pairs:
                if pair.swap and pair.old == column:
                    return pair.settled(made)
        return made

    def _made(self, column: str, *, clean: bool) -> Value:
        dice = self._dice
        pair = next((p for p in self._kind.pairs if p.new == column and not p.swap), None)
        if column in self._kind.values:
            return dice.choice(self._kind.values[column])
        match pair.old if pair is not None else column:
            case "age":
                return dice.choice((None, *range(90)))
            case "zip" if pair is None:
                odd = (None, str(dice.randint(0, 9))) if clean else (None, "abc", "1e5", str(dice.randint(0, 9)))
                return dice.choice(odd) if dice.random() < 0.2 else f"{dice.randint(0, 99999):05d}"
            case "note":
                return "".join(dice.choices(string.ascii_letters, k=dice.randint(1, 30)))
            case "name":
                return "".join(dice.choices(string.ascii_letters + "\u6f22%'\" ", k=dice.randint(1, 20)))
            case "score" | "grade":
                return dice.randint(0, 9)
            case "area":
                return dice.choice(AREAS)
            case "flag":
                return dice.choice(("on", "off"))
            case other:
                raise AssertionError(other)

    def _values(self, columns: tuple[str, ...]) -> dict[str, Value]:
        values = {column: self.value(column) for column in columns}
        if self._crew.manners.settled:
            # Nobody tells an application when the sync ends: in contract it writes both sides of what stays.
            for pair in self._kind.pairs:
                if pair.stays and pair.new in values and pair.down is not None:
                    values[pair.old] = pair.down(values[pair.new])
        return values

    # --- how it writes -------------------------------------------------------------------------------

    def _insert(self) -> None:
        ident, table = self._model.fresh(), self._table
        values = self._values((*self._columns(), "grade", "area")) | {"stamp": self._stamp()}
        apart = self._apart(values)
        here = {"ident": ident} | {column: value for column, value in values.items() if column not in apart}
        names = [self._names.q(name) for name in here]
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
        statements = [(statement, tuple(here.values()))]
        if apart:
            key = ", ".join(self._model.shape.keys)
            named, given = ", ".join(map(self._names.q, apart)), ", ".join(["%s"] * len(apart))
            statement = (
                f"INSERT INTO {PARTED} ({key}, {named}) SELECT {key}, {given} FROM {self._table} WHERE {self._where}"
                f" ON CONFLICT ({key}) DO UPDATE SET {self._assigned(apart, 'excluded.{}')}"
            )
            statements.append((statement, (*apart.values(), ident)))
        if self._committed(statements, ident, values["stamp"]):
            self._model.insert(ident, self._version, values, alone=table == PARTED)

    def _delete(self) -> None:
        with ExitStack() as held:
            for ident in self._pick(1, held):
                if self._committed([(f"DELETE FROM {self._table} WHERE {self._where}", (ident,))], ident, None):
                    self._model.delete(ident)

    def _update_one(self, columns: tuple[str, ...]) -> None:
        with ExitStack() as held:
            for ident in self._pick(1, held):
                self._change([(ident, self._values(columns))])

    def _update_two(self) -> None:
        """Two rows in one transaction, which is sometimes rolled back."""
        with ExitStack() as held:
            changes = [(ident, self._values(self._some_columns())) for ident in self._pick(2, held)]
            self._change(changes, give_up=self._dice.random() < 0.3)

    def update(self, ident: int, values: dict[str, Value]) -> None:
        row = self._model.rows.get(ident)
        if row is None:
            return
        with row.lock:
            if ident in self._model.rows:
                self._change([(ident, values)])

    def _change(self, changes: list[tuple[int, dict[str, Value]]], *, give_up: bool = False) -> None:
        if not changes:
            return
        stamp = self._stamp()
        # A stamp is unique: there are constraints on it.
        stamped = [
            (ident, self._certain(ident, values) | {"stamp": f"{stamp} of {ident}"}) for ident, values in changes
        ]
        first, written = stamped[0]
        statements = [statement for ident, values in stamped for statement in self._update(ident, values)]
        if self._committed(statements, first, written["stamp"], give_up=give_up):
            for ident, values in stamped:
                self._model.update(ident, self._version, values)

    def _certain(self, ident: int, values: dict[str, Value]) -> dict[str, Value]:
        """In contract, without what changes the old side before cutover and nothing after it ('9' to '00009')."""
        row = self._model.rows[ident]
        swaps = {pair.old: pair for pair in self._kind.pairs if pair.swap and not self._by_views}
        return {
            column: value
            for column, value in values.items()
            if not self._crew.manners.settled or column not in swaps or swaps[column].up(value) != row.new[column]
        }

    def _update(self, ident: int, values: Mapping[str, Value]) -> Iterator[tuple[str, tuple[Value, ...]]]:
        apart = self._apart(values)
        here = {column: value for column, value in values.items() if column not in apart}
        yield f"UPDATE {self._table} SET {self._assigned(here)} WHERE {self._where}", (*here.values(), ident)
        if apart:
            key = ", ".join(self._model.shape.keys)
            chosen = f"({key}) = (SELECT {key} FROM {self._table} WHERE {self._where})"
            yield f"UPDATE {PARTED} SET {self._assigned(apart)} WHERE {chosen}", (*apart.values(), ident)

    def _assigned(self, columns: Iterable[str], value: str = "%s") -> str:
        return ", ".join(f"{self._names.q(name)} = {value.format(self._names.q(name))}" for name in columns)

    def _apart(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Those that this version writes into a table of their own."""
        apart = self._kind.apart if self._version == "new" and self._crew.manners.filled else ()
        return {column: value for column, value in values.items() if column in apart}

    def _pick(self, count: int, held: ExitStack) -> list[int]:
        """Rows that nobody else is writing right now, locked until `held` ends."""
        found: list[int] = []
        known = [*self._model.rows]
        for ident in sorted(self._dice.sample(known, min(count, len(known)))):
            row = self._model.rows.get(ident)
            hidden = self._model.shape.hides and ident <= UNSEEN
            unknown = row is not None and row.alone and self._table != PARTED
            if row is None or hidden or unknown or not row.lock.acquire(blocking=False):
                continue
            held.callback(row.lock.release)
            if ident in self._model.rows:
                found.append(ident)
        return found

    def _stamp(self) -> str:
        self._written += 1
        return f"{self._token} {self._written}"

    @property
    def _table(self) -> str:
        if self._kind.into and self._version == "new" and self._crew.manners.filled:
            return PARTED
        return self._names.q("people")

    @property
    def _where(self) -> str:
        return f"{self._names.q('ident')} = %s"

    # --- whether it was written ----------------------------------------------------------------------

    def _committed(
        self,
        statements: list[tuple[str, tuple[Value, ...]]],
        ident: int,
        stamp: str | None,
        *,
        give_up: bool = False,
    ) -> bool:
        """Run the statements as one transaction and find out what became of it."""
        began = time.monotonic()
        failure = None
        try:
            with self.connection.transaction(force_rollback=give_up):
                for statement, values in statements:
                    written = self.connection.execute(sql.SQL(statement), values)  # pyright: ignore[reportArgumentType]
                    if written.rowcount != 1:
                        failure = f"{self._token}: {written.rowcount} rows for row {ident}: {statement}"
            done = not give_up
        except psycopg.Error as error:
            if self.connection.broken or self.connection.closed or error.sqlstate is None:
                done = self._look_up(ident, stamp)
            else:
                done = False
                if not self._crew.excused(error):
                    failure = f"{self._token}: {error.sqlstate} {error}".strip()
        self._crew.tell(time.monotonic() - began, failure)
        return done

    def _look_up(self, ident: int, stamp: str | None) -> bool:
        """The connection went away, perhaps during COMMIT: once the old session is gone, the row tells."""
        self._crew.unknown += 1
        lost = self._session
        self.connection.close()
        deadline = time.monotonic() + RECONNECT_FOR
        while True:
            try:
                self.connect()
                while self.connection.execute(_END, (lost,)).fetchone():
                    time.sleep(0.05)
                query = f"SELECT {self._names.q('stamp')} FROM {self._table} WHERE {self._where}"
                row = self.connection.execute(sql.SQL(query), (ident,)).fetchone()  # pyright: ignore[reportArgumentType]
            except psycopg.Error:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                continue
            return row is None if stamp is None else row is not None and row[0] == stamp
