"""Access control items, which PostgreSQL prints as `grantee=letters/grantor`, `*` behind what may be granted on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

LETTERS: Mapping[str, str] = {
    "SELECT": "r",
    "INSERT": "a",
    "UPDATE": "w",
    "DELETE": "d",
    "TRUNCATE": "D",
    "REFERENCES": "x",
    "TRIGGER": "t",
    "MAINTAIN": "m",
    "EXECUTE": "X",
    "USAGE": "U",
    "CREATE": "C",
}
_ITEM = re.compile(r'(?:"((?:[^"]|"")*)"|([^"=]*))=([A-Za-z*]*)/')


@dataclass(frozen=True)
class Granted:
    """What somebody may do. grantee: "" = everybody."""

    grantee: str
    privileges: frozenset[str]
    grantable: bool


def granted(items: Iterable[str], privileges: Collection[str]) -> Iterator[Granted]:
    """Of these privileges, those that the items give: what may be granted on and what may not, apart."""
    for item in items:
        if match := _ITEM.match(item):
            quoted, plain, letters = match.groups()
            grantee = plain if quoted is None else quoted.replace('""', '"')
            held = frozenset(name for name in privileges if LETTERS[name] in letters)
            grantable = frozenset(name for name in held if f"{LETTERS[name]}*" in letters)
            for some, may in ((held - grantable, False), (grantable, True)):
                if some:
                    yield Granted(grantee, some, may)
