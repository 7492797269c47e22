"""Programs that write and read a table all the time, in a process of their own, and remember what they wrote."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

import psycopg
from psycopg import errors, sql

CLIENTS = 5
PAUSE = 0.005  # seconds between the statements of one


@dataclass
class Record:
    """What the programs met. written: the latest value by key. longest: seconds of one statement, by stretch."""

    statements: int = 0
    failures: list[str] = field(default_factory=list[str])
    longest: dict[str, float] = field(default_factory=dict[str, float])
    written: dict[int, int] = field(default_factory=dict[int, int])
    refused: int = 0


class Programs:
    """Five that write `column` of the table `items` (keys 1 to `rows`, and new ones), half inserts, half updates; and
    one that reads by a prepared `SELECT *`, which it prepares anew when it is refused."""

    def __init__(self, url: str, rows: int, column: str) -> None:
        self._here, there = multiprocessing.Pipe()
        # A process of its own: the runner's threads are none of its business.
        self._process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=_run, args=(there, url, rows, column), daemon=True
        )

    def __enter__(self) -> Programs:
        self._process.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()

    def stretch(self, name: str) -> None:
        """From now on the waits belong to the stretch of this name."""
        self._here.send(("stretch", name))

    def write_to(self, column: str) -> None:
        """The next version is deployed, which writes this column."""
        self._here.send(("column", column))

    def finish(self) -> Record:
        self._here.send(("stop", ""))
        return self._here.recv()


@dataclass
class _State:
    url: str
    rows: int
    column: str
    stretch: str = ""
    stopping: bool = False
    record: Record = field(default_factory=Record)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, seconds: float) -> None:
        with self.lock:
            self.record.statements += 1
            self.record.longest[self.stretch] = max(self.record.longest.get(self.stretch, 0.0), seconds)


def _run(told: Connection, url: str, rows: int, column: str) -> None:
    state = _State(url, rows, column)
    threads = [threading.Thread(target=_write, args=(state, number)) for number in range(CLIENTS)]
    threads.append(threading.Thread(target=_read, args=(state,)))
    for thread in threads:
        thread.start()
    while not state.stopping:
        what, value = told.recv()
        match what:
            case "stretch":
                state.stretch = value
            case "column":
                state.column = value
            case _:
                state.stopping = True
    for thread in threads:
        thread.join()
    told.send(state.record)


def _write(state: _State, number: int) -> None:
    dice = random.Random(number)
    with psycopg.connect(state.url, autocommit=True, prepare_threshold=None) as connection:
        new = state.rows + 1 + number
        while not state.stopping:
            value, column = dice.randrange(1_000_000), sql.Identifier(state.column)
            if dice.random() < 0.5:
                key, new = new, new + CLIENTS
                statement = sql.SQL("INSERT INTO items ({}, id) VALUES (%s, %s)").format(column)
            else:
                key = dice.randrange(state.rows // CLIENTS) * CLIENTS + number + 1
                statement = sql.SQL("UPDATE items SET {} = %s WHERE id = %s").format(column)
            _timed(state, connection, statement, (str(value), key))
            with state.lock:
                state.record.written[key] = value
            time.sleep(PAUSE)


def _read(state: _State) -> None:
    dice = random.Random(CLIENTS)
    while not state.stopping:
        with psycopg.connect(state.url, autocommit=True, prepare_threshold=0) as connection:
            while not state.stopping:
                try:
                    connection.execute("SELECT * FROM items WHERE id = %s", (dice.randrange(state.rows) + 1,))
                except errors.FeatureNotSupported:  # cached plan must not change result type
                    state.record.refused += 1
                    break
                time.sleep(PAUSE)


def _timed(
    state: _State, connection: psycopg.Connection[Any], statement: sql.Composed, values: tuple[str, int]
) -> None:
    began = time.monotonic()
    try:
        connection.execute(statement, values)
    except psycopg.Error as error:
        state.record.failures.append(f"{error.sqlstate}: {type(error).__name__}")
    state.note(time.monotonic() - began)
