"""Whether the gates of a migration can be asked at all: found out when planning, not when `up` comes to them.

A query is put to the server as it will be when the gate is asked: over the tables as the migration has made them by
then, which exist only in the question. It is planned, and no row is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from psycopg import errors, sql

from crossfade.catalog.errors import CatalogLocked
from crossfade.catalog.model import Catalog
from crossfade.changes import Refused
from crossfade.errors import Position, Problem
from crossfade.gates import Gate, GateError, is_of_the_moment
from crossfade.plan.compiled import CompiledChange
from crossfade.plan.gates import place_of
from crossfade.plan.plan import PlannedHazard
from crossfade.plan.probe import searching
from crossfade.plan.shape import Reading, Shape, described, shape_after
from crossfade.plan.target import Target
from crossfade.server_words import right_to_read, told
from crossfade.spec.databases import search_path
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.model import Entry, Migration
from crossfade.spec.settings import Settings
from crossfade.steps.step import Leg

_NAME = re.compile(r'(?:"(?:[^"]|"")+"|[\w$]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[\w$]+))*')
_SYSTEM_COLUMNS = {"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"}
# What the tables of a question cannot do and real ones can: GROUP BY a key alone, TABLESAMPLE.
_OF_REAL_TABLES = (errors.GroupingError, errors.WrongObjectType)


def foresee_gates(
    migration: Migration,
    legs: Sequence[Leg],
    compiled: Sequence[CompiledChange],
    open_target: Callable[[str], Target],
    root: Path,
    settings: Settings,
) -> tuple[PlannedHazard, ...]:
    """What is not known of gates; raises Refused with every gate that could not be asked."""
    problems: list[Problem] = []
    hazards: list[PlannedHazard] = []
    known: dict[tuple[str, str], Gate] = {}
    for point, entries in migration.gates.items():
        place = place_of(point, legs)
        for entry in entries if place is not None else ():
            assert isinstance(entry.body, Gate)
            if known.setdefault((str(place), entry.body.label), entry.body) != entry.body:
                problems.append(_namesake(entry, str(place), entry.body.label))
            foresight = ServerForesight(migration, entry, str(place), legs, compiled, open_target, root, settings)
            try:
                entry.body.foresee(foresight)
            except (GateError, SpecError) as refused:
                problems += (each if each.where else replace(each, where=entry.where) for each in refused.problems)
            hazards += foresight.hazards
    if problems:
        raise Refused.of(dict.fromkeys(problems))
    return tuple(dict.fromkeys(hazards))


def _namesake(entry: Entry, place: str, label: str) -> Problem:
    return Problem(
        f"another gate {place} is called `{label}` too",
        entry.where,
        why="the ledger keeps the answers of gates, and people override them, by what they are called",
        fix="give one of them a `title`" if "title" in type(entry.body).model_fields else "make one gate of them",
    )


@dataclass
class ServerForesight:
    """What one gate asks when planning, at its point."""

    migration: Migration
    entry: Entry
    point: str
    legs: Sequence[Leg]
    compiled: Sequence[CompiledChange]
    open_target: Callable[[str], Target]
    root: Path
    settings: Settings
    hazards: list[PlannedHazard] = field(default_factory=list[PlannedHazard])

    @property
    def schema(self) -> str:
        return self.open_target(self.migration.head.database).schema

    @property
    def database(self) -> str:
        return self.migration.head.database

    def columns(self, query: str, database: str, where: Position | None = None) -> Sequence[psycopg.Column] | None:
        """The columns that the query will give; None when that cannot be known, which is a hazard then.

        Raises GateError when it could not be asked.
        """
        where = where or self.entry.where
        try:
            target = self.open_target(database)
        except KeyError:
            raise GateError(
                f"`{database}` is no database of this project",
                where=where,
                fix="name it in databases.yaml, or correct it",
            ) from None
        shape = shape_after(self._done(), database, target.catalog, self.compiled)
        path = search_path(target.schema)
        reading = Reading.of(query, path, {*target.catalog.tables, *target.catalog.views, *shape.tables})
        now = self._asked(target, described(query), where)
        then = now
        if shape.tables.keys() & {*reading.relations}:
            then = self._asked(target, reading.reshaped(path, shape), where)
        if not isinstance(then, Objection):
            return then
        if not isinstance(now, Objection) and (isinstance(then.error, _OF_REAL_TABLES) or then.last in _SYSTEM_COLUMNS):
            return now
        if isinstance(now, Objection) and self._may_vanish(then, now, shape):
            self._doubt(then)
            return None
        known = self._known(then, reading, shape, target.catalog)
        later = self._known(
            then, reading, shape_after(self.legs, database, target.catalog, self.compiled), target.catalog
        )
        if not isinstance(now, Objection):
            if not then.is_of_a_name:
                self._doubt(then)
                return None
            why, fix = "this migration takes it away before the gate is asked", did_you_mean(then.last, known)
        elif then.last in later - known:
            why, fix = "this migration makes it, but only after the gate is asked", "ask it later, e.g. after backfill"
        else:
            why = "`crossfade up` would find it out only when it comes there"
            fix = did_you_mean(then.last, known) if then.is_of_a_name else then.error.diag.message_hint
            if isinstance(then.error, errors.InsufficientPrivilege):
                fix = right_to_read(then.error, target.catalog.role.name)
        raise GateError(
            f"the gate {self.point} could not be asked: {then}",
            where=where,
            why=why,
            fix=fix or "correct what the gate asks",
        )

    def _done(self) -> list[Leg]:
        """The legs that are done when the gate is asked."""
        moment, _, name = self.point.partition(" ")
        here = next(leg.order for leg in self.legs if str(leg) == name)
        return [leg for leg in self.legs if leg.order < here or (moment == "after" and leg.order == here)]

    def _asked(self, target: Target, question: sql.Composed, where: Position) -> Sequence[psycopg.Column] | Objection:
        """The answer, or what PostgreSQL has against the question."""
        try:
            with searching(target.connection, search_path(target.schema)):
                return target.connection.execute(question).description or []
        except (errors.LockNotAvailable, errors.QueryCanceled) as error:
            raise CatalogLocked(
                f"gate {self.point} cannot be looked at in database {target.database} for now",
                where=where,
                why=told(error),
                fix="wait until the session that holds its table is done, and try again",
            ) from None
        except psycopg.Error as error:
            if is_of_the_moment(error.sqlstate):
                raise
            return Objection.of(error, question.as_string(target.connection))

    def _may_vanish(self, then: Objection, now: Objection, shape: Shape) -> bool:
        """What is missing may be there by then, or the tables of the question are not like real ones in something."""
        if isinstance(then.error, errors.SyntaxError):
            return False
        ours = any(part == "crossfade" or part.startswith("_cf_") for part in then.name)
        unlike = then.last in _SYSTEM_COLUMNS or not (then.is_of_a_name or then.error.sqlstate == now.error.sqlstate)
        return shape.unknown or ours or unlike

    def _known(self, of: Objection, reading: Reading, shape: Shape, catalog: Catalog) -> set[str]:
        """What might have been meant: relations, or the columns of those that the query names."""
        if isinstance(of.error, errors.UndefinedTable):
            return {name.name for name in (*catalog.tables, *catalog.views, *shape.tables)}
        named = [name for name in reading.relations if name in shape.tables or name in catalog.tables]
        return {
            column
            for name in named
            for column in (shape.tables[name] if name in shape.tables else catalog.tables[name].by_name)
        }

    def _doubt(self, objection: Objection) -> None:
        self.hazards.append(
            PlannedHazard(
                code="gate-not-foreseen",
                risk="warning",
                change=self.entry.kind,
                what=f"planning cannot tell whether the gate {self.point} can be asked: {objection}",
                fix="see that what it names is there by then",
            )
        )


@dataclass(frozen=True)
class Objection:
    """What PostgreSQL has against a question, and the parts of the name that it points at."""

    error: psycopg.Error
    name: tuple[str, ...]

    @classmethod
    def of(cls, error: psycopg.Error, question: str) -> Objection:
        position = int(error.diag.statement_position or len(question) + 1)
        found = _NAME.match(question, position - 1)
        parts = re.findall(r'"(?:[^"]|"")+"|[\w$]+', found[0]) if found else []
        return cls(error, tuple(part.strip('"').replace('""', '"') for part in parts))

    def __str__(self) -> str:
        return f"{told(self.error)} (SQLSTATE {self.error.sqlstate})"

    @property
    def last(self) -> str:
        return self.name[-1] if self.name else ""

    @property
    def is_of_a_name(self) -> bool:
        return isinstance(self.error, (errors.UndefinedColumn, errors.UndefinedTable))
