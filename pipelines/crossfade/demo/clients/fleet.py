"""The fleet service: what each version of its program says to its database.

v1  knows the year a plane was built as `year`
v2  knows it as `built`: runs from the expand of `planes_say_when_built` on
"""

from __future__ import annotations

import random
from collections.abc import Callable

from crossfade.demo.clients.memory import Memory
from crossfade.demo.clients.messages import Version
from crossfade.demo.clients.session import Session

_INSERT = """
INSERT INTO planes (tailnum, {built}, type, manufacturer, model, engines, seats, engine)
VALUES (%s, %s, 'Fixed wing multi engine', 'AIRBUS', %s, 2, %s, 'Turbo-fan')"""


class FleetProgram:
    """One instance of the service; `planes`: tail numbers of loaded rows that are its own to write."""

    def __init__(self, session: Session, version: Version, memory: Memory, planes: list[str], slot: int) -> None:
        self._session = session
        self._built = "built" if version.number >= 2 else "year"
        self._memory = memory
        self._planes = planes
        self._slot = slot
        self._random = random.Random(slot)
        self._delivered: list[str] = []
        self._number = 0
        self.statements: dict[Callable[[], None], int] = {
            self._deliver: 14,
            self._correct: 24,
            self._scrap: 4,
            self._read_plane: 34,
            self._as_old_as: 12,
            self._of_manufacturer: 12,
        }

    def _deliver(self) -> None:
        self._number += 1
        plane, year, seats = f"X{self._slot}-{self._number}", self._random.randrange(1990, 2014), 180
        self._session.run("take a plane in", _INSERT, *(plane, year, "A320-214", seats), built=self._built)
        self._delivered.append(plane)
        self._memory.wrote("planes", plane, {"built": year, "seats": seats})

    def _correct(self) -> None:
        plane, year = self._any_plane(), self._random.randrange(1956, 2014)
        self._session.run(
            "correct a year", "UPDATE planes SET {built} = %s WHERE tailnum = %s", *(year, plane), built=self._built
        )
        self._memory.wrote("planes", plane, {"built": year})

    def _scrap(self) -> None:
        if self._delivered:
            plane = self._delivered.pop(self._random.randrange(len(self._delivered)))
            self._session.run("scrap a plane", "DELETE FROM planes WHERE tailnum = %s", plane)
            self._memory.deleted("planes", plane)

    def _read_plane(self) -> None:
        plane = self._any_plane()
        rows = self._session.run(
            "look a plane up",
            "SELECT {built} AS built, seats, model FROM planes WHERE tailnum = %s",
            plane,
            built=self._built,
        )
        if len(rows) != 1 or self._memory.differs("planes", plane, rows[0]):
            self._session.misread()

    def _as_old_as(self) -> None:
        self._session.run(
            "list planes by age",
            "SELECT tailnum, {built} FROM planes WHERE {built} = %s",
            self._random.randrange(1956, 2014),
            built=self._built,
        )

    def _of_manufacturer(self) -> None:
        self._session.run(
            "list planes by model",
            "SELECT tailnum, seats FROM planes WHERE manufacturer = %s AND model LIKE %s",
            *("BOEING", "737-%"),
        )

    def _any_plane(self) -> str:
        if self._delivered and self._random.random() < 0.3:
            return self._random.choice(self._delivered)
        return self._random.choice(self._planes)
