"""Type changes that PostgreSQL does in the catalog alone, without a rewrite or a scan (measured on 15)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from crossfade.catalog.model import Domain, Name

_TEXTS = {"character varying", "text"}
_TIMESTAMPS = {"timestamp without time zone", "timestamp with time zone"}
_CLOCKS = _TIMESTAMPS | {"time without time zone", "time with time zone", "interval"}
_FINEST = 6  # digits of a second, where a clock's type names none
_SAME_BYTES = {("cidr", "inet"), ("xml", "text"), ("xml", "character varying")}


@dataclass(frozen=True)
class _Type:
    """A type without its modifiers, and these. domain: over it; ruled: one with rules or a collation of its own."""

    name: str
    modifiers: tuple[int, ...]
    domain: bool = False
    ruled: bool = False


def catalog_only(given: str, wanted: str, domains: Mapping[Name, Domain]) -> bool:
    """ALTER COLUMN TYPE from `given` to `wanted` (as format_type spells them) touches no row.

    Of times with and without a zone: in a session whose TimeZone is UTC, as ours are.
    """
    old, new = _parse(given, domains), _parse(wanted, domains)
    if new.ruled:
        return given == wanted
    if old.domain:  # PostgreSQL does not ask a domain for the length that its values keep
        old = replace(old, modifiers=())
    if {old.name, new.name} <= _TEXTS:
        same = old.name == new.name and old.modifiers and new.modifiers >= old.modifiers
        return not new.modifiers or bool(same)
    if {old.name, new.name} <= _TIMESTAMPS and old.name != new.name:
        return not new.modifiers or new.modifiers == (_FINEST,)
    if old.name != new.name:
        return (old.name, new.name) in _SAME_BYTES and not new.modifiers
    if old.name == "numeric":
        return not new.modifiers or (bool(old.modifiers) and _fits_digits(old.modifiers, new.modifiers))
    if old.name in _CLOCKS:
        return (new.modifiers or (_FINEST,)) >= (old.modifiers or (_FINEST,))
    if old.name == "bit varying":
        return not new.modifiers or (bool(old.modifiers) and new.modifiers >= old.modifiers)
    # What is left is a domain over its own base type, or a list that loses its limit.
    return not new.modifiers and (old.name == "character varying[]" or not old.modifiers)


def keeps_order(given: str, wanted: str, domains: Mapping[Name, Domain]) -> bool:
    """Of such a change: the column's indexes stay as they are, and so do foreign keys; others are built anew."""
    return {_parse(given, domains).name, _parse(wanted, domains).name} != _TIMESTAMPS


def unlimited(type_: str) -> str:
    """The type without the length at which a cast cuts a value off; an assignment to the type refuses a longer one."""
    return re.sub(r"^(character varying|bit varying)\(\d+\)", r"\1", re.sub(r"^character\(\d+\)", "bpchar", type_))


def crosses_zones(given: str, wanted: str) -> bool:
    """A time without a zone gets one, or the other way round."""
    return {re.sub(r"\(\d+\)", "", type_) for type_ in (given, wanted)} == _TIMESTAMPS


def _fits_digits(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """More digits at the same scale."""
    (digits, *scale), (wider, *same) = old, new
    return (scale or [0]) == (same or [0]) and wider >= digits


def _parse(type_: str, domains: Mapping[Name, Domain]) -> _Type:
    """A domain is the type it is over."""
    plain = type_.replace('"', "")
    for domain in domains.values():
        if plain in (domain.name.name, str(domain.name)):
            base = _parse(domain.type, domains)
            ruled = bool(domain.constraints) or domain.not_null or domain.collation is not None
            return _Type(base.name, base.modifiers, domain=True, ruled=ruled or base.ruled)
    match = re.fullmatch(r"([^(]*)(?:\((\d+(?:,-?\d+)?)\))?(.*)", type_)
    assert match is not None
    return _Type(match[1] + match[3], tuple(map(int, match[2].split(","))) if match[2] else ())
