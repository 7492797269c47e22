"""Members at work beside each other, never more than the fleet allows; what stops one stops none of the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import Generic, TypeVar

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.runner import Runner
from crossfade.server_words import told
from crossfade.spec import Fleet, Member

T = TypeVar("T")


class AtOnce(Generic[T]):
    """Work on members in threads, each with a runner of its own.

    make: the runner of a member. act: what to do with it.
    """

    def __init__(self, fleet: Fleet, make: Callable[[Member], Runner], act: Callable[[Runner, Member], T]) -> None:
        self._most = fleet.max_parallel
        self._make = make
        self._act = act
        self._guard = threading.Lock()
        self._running: list[Runner] = []
        self._stopped = False

    def each(self, members: Sequence[Member], hear: Callable[[Member, T | CrossfadeError], bool]) -> None:
        """Tell `hear` what came of each, as they end, in this thread. Once it says no, no more are begun.

        An exception that is not the caller's to expect, as when a terminal or a supervisor ends us, stops them all.
        """
        left = iter(members)
        goes_on = True
        with ThreadPoolExecutor(max_workers=self._most) as pool:
            under_way = {pool.submit(self._one, member): member for member in islice(left, self._most)}
            try:
                while under_way:
                    ended, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in ended:
                        goes_on = hear(under_way.pop(future), future.result()) and goes_on
                    if goes_on:
                        under_way |= {pool.submit(self._one, member): member for member in islice(left, len(ended))}
            except BaseException:
                self._stop()
                raise

    def _one(self, member: Member) -> T | CrossfadeError:
        try:
            runner = self._make(member)
            with self._guard:
                self._running.append(runner)
                if self._stopped:
                    runner.cancel()
            try:
                return self._act(runner, member)
            finally:
                with self._guard:
                    self._running.remove(runner)
        except CrossfadeError as error:
            return error
        except psycopg.Error as error:
            return CrossfadeError(told(error), why="a database did not answer", sqlstate=error.sqlstate)

    def _stop(self) -> None:
        with self._guard:
            self._stopped = True
            for runner in self._running:
                runner.cancel()
