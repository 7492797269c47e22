"""The search: one scan of each side into buckets, then ever smaller buckets of those that differ, then their keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from crossfade.compare.found import Difference, Key, Kind
from crossfade.compare.rows import Rows, every
from crossfade.compare.snapshots import Answer, Snapshots

_FIRST_BITS = 12  # 4,096 buckets in the first scan: more cost it time, in the processor's cache
_FINER_BITS = 16  # 65,536 in all when those that differ are scanned again: their rows are few
_ENOUGH = 50_000  # rows whose keys are fetched: some MB
_BITS = 64

Counted = dict[int, tuple[int, int]]  # bucket -> rows, sum of their hashes
Rest = Callable[[float], None]


@dataclass(frozen=True)
class Buckets:
    """What both sides have in each. shift: bits that are cut off a position."""

    shift: int
    a: Counted
    b: Counted

    @property
    def rows(self) -> tuple[int, int]:
        return sum(rows for rows, _ in self.a.values()), sum(rows for rows, _ in self.b.values())

    def differing(self) -> list[int]:
        nothing = (0, 0)
        return sorted(each for each in {*self.a, *self.b} if self.a.get(each, nothing) != self.b.get(each, nothing))

    def largest(self, buckets: Iterable[int]) -> int:
        """The rows in these buckets, of the side that has more."""
        named = [*buckets]
        return max(sum(side[each][0] for each in named if each in side) for side in (self.a, self.b))


def first_pass(asked: Snapshots, a: Rows, b: Rows, blocks: int | None, rest: Rest) -> Buckets:
    """All rows, in one scan of each side; or, with `blocks`, that many at a time, resting as long as each took."""
    shift = _first_shift(asked, a, b)
    found = Buckets(shift, {}, {})
    if blocks is None:
        of_a, of_b = asked.ask(a.counted(shift, every()), b.counted(shift, every()))
        return Buckets(shift, _counted(of_a), _counted(of_b))
    last = max(a.blocks or 0, b.blocks or 0)
    for first in range(0, last + 1, blocks):
        end = first + blocks if first + blocks <= last else None
        began = time.monotonic()
        pieces = (side.counted(shift, side.piece(first, end)) for side in (a, b))
        for so_far, more in zip((found.a, found.b), asked.ask(*pieces), strict=True):
            _add(so_far, _counted(more))
        if end is not None:
            rest(time.monotonic() - began)
    return found


def narrowed(asked: Snapshots, a: Rows, b: Rows, found: Buckets, most: int) -> tuple[list[Difference], bool]:
    """The differing keys, `most` at most, and whether there are more.

    In every bucket that differs there is a key that does, so that no more buckets are followed than keys are wanted.
    """
    differing = found.differing()
    if not most:
        return [], bool(differing)
    more = len(differing) > most
    differing = differing[:most]
    while differing and found.largest(differing) > _ENOUGH and found.shift:
        finer = max(0, found.shift - max(1, _FINER_BITS - (len(differing) - 1).bit_length()))
        of_a, of_b = asked.ask(*(side.counted(finer, side.within(differing, found.shift)) for side in (a, b)))
        found = Buckets(finer, _counted(of_a), _counted(of_b))
        differing = found.differing()
        more = more or len(differing) > most
        differing = differing[:most]
    if not differing:
        return [], more
    keys = differences(*asked.ask(*(side.listed(side.within(differing, found.shift)) for side in (a, b))))
    return keys[:most], more or len(keys) > most


def looked_at_again(asked: Snapshots, a: Rows, b: Rows, known: list[Difference]) -> list[Difference]:
    """Of keys that differed, those that do now."""
    positions = sorted({each.position for each in known})
    now = differences(*asked.ask(*(side.listed(side.within(positions, 0)) for side in (a, b))))
    keys = {each.key for each in known}
    return [each for each in now if each.key in keys]


def differences(of_a: Answer, of_b: Answer) -> list[Difference]:
    """Of what `Rows.listed` gave for each side."""
    in_a, in_b = ({(position, tuple(key)): (rows, total) for position, key, rows, total in of} for of in (of_a, of_b))
    found = [
        Difference(key, _kind((position, key), in_a, in_b), position)
        for position, key in {*in_a, *in_b}
        if in_a.get((position, key)) != in_b.get((position, key))
    ]
    return sorted(found, key=lambda each: (each.position, [part or "" for part in each.key]))


def _kind(place: tuple[int, Key], in_a: Container[tuple[int, Key]], in_b: Container[tuple[int, Key]]) -> Kind:
    if place not in in_a:
        return "missing_in_a"
    return "differs" if place in in_b else "missing_in_b"


def _first_shift(asked: Snapshots, a: Rows, b: Rows) -> int:
    """So many bits that the table falls into some thousands of buckets; hashes are spread over all bigint."""
    if a.number is None or b.number is None:
        return _BITS - _FIRST_BITS
    of_a, of_b = asked.ask(a.bounds(), b.bounds())
    ends = [end for row in (*of_a, *of_b) for end in row if end is not None]
    least, greatest = min(ends, default=0), max(ends, default=0)
    return max(0, (greatest - least).bit_length() - _FIRST_BITS)


def _counted(answer: Answer) -> Counted:
    return {bucket: (rows, int(total)) for bucket, rows, total in answer}


def _add(so_far: Counted, more: Counted) -> None:
    for bucket, (rows, total) in more.items():
        known_rows, known_total = so_far.get(bucket, (0, 0))
        so_far[bucket] = known_rows + rows, known_total + total
