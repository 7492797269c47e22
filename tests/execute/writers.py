"""Clients of an old and a new application version that write all the time and remember what they wrote."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

Write = Callable[[psycopg.Connection[Any], random.Random, int], None]


class Writers:
    """Runs each `write` in a thread with a session of its own until the block ends; counts, waits and failures."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], *writes: Write, pause: float = 0.002) -> None:
        self.statements = 0
        self.longest = 0.0
        self.failures: list[str] = []
        self._connect = connect
        self._stop = threading.Event()
        self._pause = pause
        self._threads = [
            threading.Thread(target=self._run, args=(write, number), daemon=True) for number, write in enumerate(writes)
        ]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _run(self, write: Write, number: int) -> None:
        dice = random.Random(number)
        with self._connect() as connection:
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    write(connection, dice, number)
                except psycopg.Error as error:
                    self.failures.append(f"{error.sqlstate} {error}")
                self.longest = max(self.longest, time.monotonic() - began)
                self.statements += 1
                time.sleep(self._pause)
