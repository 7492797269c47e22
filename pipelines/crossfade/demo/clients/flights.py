"""The flights service: what each version of its program says to its database.

v1  reads and writes departure hours as text; it also understands a timestamp
v2  relies on timestamps: runs where `departures_as_timestamps` has swapped the column
v3  knows the year a plane was built as `built`: runs from the expand of `planes_say_when_built` on
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from crossfade.demo.clients.memory import Memory, comparable
from crossfade.demo.clients.messages import Version
from crossfade.demo.clients.session import Session

AIRPORTS = ("EWR", "JFK", "LGA")
CARRIERS = ("UA", "DL", "B6", "US", "WN")
_NEW_YEAR = datetime(2014, 1, 1, 10, tzinfo=UTC)
_NEW_YORK = timedelta(hours=-5)

_INSERT = """
INSERT INTO flights (year, month, day, sched_dep_time, sched_arr_time, carrier, flight, tailnum, origin, dest,
                     distance, hour, minute, time_hour)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"""


class FlightsProgram:
    """One instance of the service.

    loaded, planes: ids and tail numbers of loaded rows that are this instance's to write; no other one's.
    """

    def __init__(
        self, session: Session, version: Version, memory: Memory, loaded: range, planes: list[str], seed: int
    ) -> None:
        self._session = session
        self._typed = version.number >= 2
        self._built = "built" if version.number >= 3 else "year"
        self._memory = memory
        self._loaded = loaded
        self._planes = planes
        self._random = random.Random(seed)
        self._scheduled: list[int] = []
        # Half of what an application says, it says to read.
        self.statements: dict[Callable[[], None], int] = {
            self._schedule: 12,
            self._depart: 16,
            self._reschedule: 12,
            self._change_plane: 4,
            self._cancel: 2,
            self._hold_and_write: 2,
            self._copy_plane: 4,
            self._read_flight: 20,
            self._board: 14,
            self._weather: 7,
            self._plane_of: 7,
        }

    # --- writing -------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        moment = _NEW_YEAR + timedelta(hours=self._random.randrange(14 * 24))
        there = moment + _NEW_YORK
        origin, carrier = self._random.choice(AIRPORTS), self._random.choice(CARRIERS)
        minute, plane = self._random.randrange(60), self._random.choice(self._planes)
        departs = there.hour * 100 + minute
        (row,) = self._session.run(
            "schedule a flight",
            _INSERT,
            *(there.year, there.month, there.day, departs, (departs + 300) % 2400, carrier),
            *(self._random.randrange(1, 9999), plane, origin, "BOS", 187, there.hour, minute, self._as_written(moment)),
        )
        self._scheduled.append(row["id"])
        self._memory.wrote(
            "flights", row["id"], {"carrier": carrier, "tailnum": plane, "origin": origin, "time_hour": moment}
        )

    def _depart(self) -> None:
        flight, delay = self._any_flight(), self._random.randrange(-20, 120)
        self._session.run("note a departure", "UPDATE flights SET dep_delay = %s WHERE id = %s", delay, flight)
        self._memory.wrote("flights", flight, {"dep_delay": delay})

    def _reschedule(self) -> None:
        flight, moment = self._any_flight(), _NEW_YEAR + timedelta(hours=self._random.randrange(14 * 24))
        self._session.run(
            "reschedule a flight",
            "UPDATE flights SET time_hour = %s, hour = %s WHERE id = %s",
            *(self._as_written(moment), (moment + _NEW_YORK).hour, flight),
        )
        self._memory.wrote("flights", flight, {"time_hour": moment, "hour": (moment + _NEW_YORK).hour})

    def _change_plane(self) -> None:
        if self._scheduled:
            flight, plane = self._random.choice(self._scheduled), self._random.choice(self._planes)
            self._session.run("change a plane", "UPDATE flights SET tailnum = %s WHERE id = %s", plane, flight)
            self._memory.wrote("flights", flight, {"tailnum": plane})

    def _cancel(self) -> None:
        if self._scheduled:
            flight = self._scheduled.pop(self._random.randrange(len(self._scheduled)))
            self._session.run("cancel a flight", "DELETE FROM flights WHERE id = %s", flight)
            self._memory.deleted("flights", flight)

    def _hold_and_write(self) -> None:
        """A transaction that holds its row for a moment, as programs do that ask somebody else in between."""
        flight, delay = self._any_flight(), self._random.randrange(-20, 120)
        self._session.run("begin", "BEGIN")
        self._session.run("hold a flight", "SELECT arr_delay FROM flights WHERE id = %s FOR UPDATE", flight)
        time.sleep(0.02)
        self._session.run("note an arrival", "UPDATE flights SET arr_delay = %s WHERE id = %s", delay, flight)
        self._session.run("commit", "COMMIT")
        self._memory.wrote("flights", flight, {"arr_delay": delay})

    def _copy_plane(self) -> None:
        plane, year = self._random.choice(self._planes), self._random.randrange(1956, 2014)
        self._session.run(
            "take a plane over from the fleet",
            "UPDATE planes SET {built} = %s WHERE tailnum = %s",
            *(year, plane),
            built=self._built,
        )
        self._memory.wrote("planes", plane, {"built": year})

    # --- reading -------------------------------------------------------------------------------------

    def _read_flight(self) -> None:
        flight = self._any_flight()
        rows = self._session.run(
            "look a flight up",
            "SELECT carrier, tailnum, origin, hour, dep_delay, arr_delay, time_hour FROM flights WHERE id = %s",
            flight,
        )
        if len(rows) != 1 or self._memory.differs("flights", flight, rows[0]):
            self._session.misread()

    def _board(self) -> None:
        moment = datetime(2013, 1, 1, 10, tzinfo=UTC) + timedelta(hours=self._random.randrange(364 * 24))
        rows = self._session.run(
            "show the departures board",
            "SELECT carrier, flight, dest, time_hour FROM flights"
            " WHERE origin = %s AND time_hour >= %s AND time_hour < %s ORDER BY time_hour LIMIT 40",
            self._random.choice(AIRPORTS),
            *(self._as_written(moment), self._as_written(moment + timedelta(hours=3))),
        )
        for row in rows:
            shown = comparable(row["time_hour"])
            if not (isinstance(shown, datetime) and moment <= shown < moment + timedelta(hours=3)):
                self._session.misread()

    def _weather(self) -> None:
        # v1 casts, because its times are text; the cast does no harm to a timestamp.
        self._session.run(
            "ask for the weather",
            "SELECT w.temp, w.wind_speed, w.visib FROM flights AS f"
            " JOIN weather AS w ON w.origin = f.origin AND w.time_hour = f.time_hour WHERE f.id = %s"
            if self._typed
            else "SELECT w.temp, w.wind_speed, w.visib FROM flights AS f"
            " JOIN weather AS w ON w.origin = f.origin AND w.time_hour = f.time_hour::timestamptz WHERE f.id = %s",
            self._any_flight(),
        )

    def _plane_of(self) -> None:
        rows = self._session.run(
            "ask which plane flies",
            "SELECT p.tailnum, p.model, p.{built} AS built FROM flights AS f JOIN planes AS p USING (tailnum)"
            " WHERE f.id = %s",
            self._any_flight(),
            built=self._built,
        )
        for row in rows:
            if self._memory.differs("planes", row["tailnum"], row):
                self._session.misread()

    # --- ---------------------------------------------------------------------------------------------

    def _any_flight(self) -> int:
        """One of those loaded or, less often, of those this instance has scheduled."""
        if self._scheduled and self._random.random() < 0.3:
            return self._random.choice(self._scheduled)
        return self._random.choice(self._loaded)

    def _as_written(self, moment: datetime) -> str | datetime:
        return moment if self._typed else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
