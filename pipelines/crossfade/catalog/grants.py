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
_ROLE = r'(?:"((?:[^"]|"")*)"|([^"=]*))'
_ITEM = re.compile(rf"{_ROLE}=([A-Za-z*]*)/{_ROLE}")


@dataclass(frozen=True)
class Granted:
    """What somebody may do. grantee: "" = everybody. grantor: who said so, the owner nearly always."""

    grantee: str
    privileges: frozenset[str]
    grantable: bool
    grantor: str


def granted(items: Iterable[str], privileges: Collection[str]) -> Iterator[Granted]:
    """Of these privileges, those that the items give: what may be granted on and what may not, apart."""
    for item in items:
        if match := _ITEM.match(item):
            quoted, plain, letters, *by = match.groups()
            grantee, grantor = _role(quoted, plain), _role(*by)
            held = frozenset(name for name in privileges if LETTERS[name] in letters)
            grantable = frozenset(name for name in held if f"{LETTERS[name]}*" in letters)
            for some, may in ((held - grantable, False), (grantable, True)):
                if some:
                    yield Granted(grantee, some, may, grantor)


def _role(quoted: str | None, plain: str) -> str:
    return plain if quoted is None else quoted.replace('""', '"')
