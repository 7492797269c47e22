"""How a table is partitioned, as a spec says it: by range, list or hash, and into what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from crossfade.composing import sql
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.compose import names

Bound = str | int
_MOST = 2000  # partitions
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}
_EVERY_DAY_OF = 28  # the last day that every month has


@dataclass(frozen=True)
class Partition:
    """name: in the schema of the table. clause: behind PARTITION OF."""

    name: str
    clause: sql.Composable


class ByRange(SpecModel):
    """Partitions of one column's values from one bound up to, and without, the next."""

    column: Identifier = Field(description="The column.")
    from_: Bound | None = Field(None, alias="from", description="Where the first partition begins: a date or a number.")
    to: Bound | None = Field(None, description="Where the last one ends. Let it lie ahead: what comes later has none.")
    every: Literal["day", "week", "month", "quarter", "year"] | Annotated[int, Field(gt=0)] | None = Field(
        None, description="How much each holds."
    )
    bounds: tuple[Bound, ...] = Field(
        (), description="In place of these three: where each partition begins, and at last where the last one ends."
    )
    default: bool = Field(True, description="Make a partition for rows that are in no other.")

    @model_validator(mode="after")
    def _is_whole(self) -> ByRange:
        stepped = (self.from_, self.to, self.every)
        if bool(self.bounds) == any(each is not None for each in stepped) or (not self.bounds and None in stepped):
            raise ValueError("give `from`, `to` and `every`, or give `bounds`")
        if len(self.bounds) == 1:
            raise ValueError("one partition needs two bounds: where it begins and where it ends")
        list(self._edges())
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def method(self) -> Literal["RANGE"]:
        return "RANGE"

    @property
    def literals(self) -> tuple[Bound, ...]:
        """What must be of the column's type."""
        return self.bounds or tuple(bound for bound in (self.from_, self.to) if bound is not None)

    def made(self, table: str) -> Iterator[Partition]:
        edges = list(self._edges())
        for (low, label), (high, _) in pairwise(edges):
            values = sql.SQL("FOR VALUES FROM ({}) TO ({})").format(sql.Literal(low), sql.Literal(high))
            yield Partition(f"{table}_{label}", values)
        if self.default:
            yield _default(table)

    def _edges(self) -> Iterator[tuple[Bound, str]]:
        """Each bound, with what the partition is called that begins there. Raises ValueError."""
        if self.bounds:
            if all(isinstance(bound, int) for bound in self.bounds):
                _refuse_uneven(uneven=False, forward=list(self.bounds) == sorted({*self.bounds}, key=int))
            yield from ((bound, _label(bound)) for bound in self.bounds)
        elif isinstance(self.every, int):
            if not isinstance(self.from_, int) or not isinstance(self.to, int):
                raise ValueError("`every` is a number, so `from` and `to` are numbers too")
            _refuse_uneven((self.to - self.from_) % self.every != 0, self.from_ < self.to)
            _refuse_many((self.to - self.from_) // self.every)
            yield from ((bound, _label(bound)) for bound in range(self.from_, self.to + 1, self.every))
        else:
            yield from ((day.isoformat(), self._called(day)) for day in self._days())

    def _days(self) -> Iterator[date]:
        first, last = _day(self.from_, "from"), _day(self.to, "to")
        if self.every in _MONTHS and first.day > _EVERY_DAY_OF:
            raise ValueError(f"not every month has a day {first.day}: let `from` be the first of one")
        day, number = first, 0
        while day < last:
            _refuse_many(number)
            yield day
            number += 1
            day = self._after(first, number)
        _refuse_uneven(day != last, first < last)
        yield last

    def _after(self, first: date, number: int) -> date:
        if self.every in _DAYS:
            return first + timedelta(days=_DAYS[self.every] * number)
        assert isinstance(self.every, str)
        months = first.month - 1 + _MONTHS[self.every] * number
        return first.replace(year=first.year + months // 12, month=months % 12 + 1)

    def _called(self, day: date) -> str:
        if day.day == 1 and self.every == "month":
            return f"{day:%Y_%m}"
        if day.day == 1 and self.every == "quarter" and day.month % 3 == 1:
            return f"{day.year:04}_q{day.month // 3 + 1}"
        if day.day == day.month == 1 and self.every == "year":
            return f"{day.year:04}"
        return _label(day.isoformat())


class ByList(SpecModel):
    """Partitions of the values that are listed for each."""

    column: Identifier = Field(description="The column.")
    partitions: Annotated[dict[Identifier, Annotated[tuple[Bound, ...], Field(min_length=1)]], Field(min_length=1)] = (
        Field(description="Name of the partition: its values.")
    )
    default: bool = Field(True, description="Make a partition for rows that are in no other.")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def method(self) -> Literal["LIST"]:
        return "LIST"

    @property
    def literals(self) -> tuple[Bound, ...]:
        return tuple(value for values in self.partitions.values() for value in values)

    def made(self, table: str) -> Iterator[Partition]:
        for name, values in self.partitions.items():
            listed = sql.SQL(", ").join(map(sql.Literal, values))
            yield Partition(name, sql.SQL("FOR VALUES IN ({})").format(listed))
        if self.default:
            yield _default(table)


class ByHash(SpecModel):
    """As many partitions, among which rows are spread evenly by a hash of these columns."""

    columns: Annotated[tuple[Identifier, ...], Field(min_length=1)] = Field(description="The columns.")
    partitions: Annotated[int, Field(ge=2, le=_MOST)] = Field(description="How many.")

    @property
    def method(self) -> Literal["HASH"]:
        return "HASH"

    @property
    def literals(self) -> tuple[Bound, ...]:
        return ()

    @property
    def default(self) -> bool:
        return False

    def made(self, table: str) -> Iterator[Partition]:
        for rest in range(self.partitions):
            values = sql.SQL("FOR VALUES WITH (MODULUS {}, REMAINDER {})").format(
                sql.Literal(self.partitions), sql.Literal(rest)
            )
            yield Partition(f"{table}_{rest}", values)


By = ByRange | ByList | ByHash


def partitioned_by(by: By) -> sql.Composable:
    """The clause PARTITION BY."""
    return sql.SQL("PARTITION BY {} ({})").format(sql.SQL(by.method), names(by.columns))


def _default(table: str) -> Partition:
    return Partition(f"{table}_default", sql.SQL("DEFAULT"))


def _label(bound: Bound) -> str:
    text = str(bound).replace("-", "minus_") if isinstance(bound, int) else bound
    return re.sub(r"\W+", "_", text).strip("_").lower()


def _day(value: Bound | None, key: str) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"`{key}` is a date such as 2024-01-01 where `every` is a time") from None


def _refuse_uneven(uneven: bool, forward: bool) -> None:
    if not forward:
        raise ValueError("each bound comes after the one before it")
    if uneven:
        raise ValueError("from `from` to `to` it must be a whole number of `every`")


def _refuse_many(number: int) -> None:
    if number > _MOST:
        raise ValueError(f"these would be more than {_MOST} partitions: let each hold more")
