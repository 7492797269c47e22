"""Type changes that PostgreSQL does in the catalog alone, without a rewrite or a scan (measured on 15)."""

from __future__ import annotations

import re

_TEXTS = ("character varying", "text")


def catalog_only(given: str, wanted: str) -> bool:
    """ALTER COLUMN TYPE from `given` to `wanted` (as format_type spells them) touches no row."""
    old, new = _parse(given), _parse(wanted)
    if old[0] in _TEXTS and new[0] in _TEXTS:
        return not new[1] or (bool(old[1]) and old[0] == new[0] and int(new[1][0]) >= int(old[1][0]))
    if old[0] == new[0] == "numeric":
        if not new[1]:
            return True
        return bool(old[1]) and _scale(new) == _scale(old) and int(new[1][0]) >= int(old[1][0])
    return False


def unlimited(type_: str) -> str:
    """The type without the length at which a cast cuts a value off; an assignment to the type refuses a longer one."""
    return re.sub(r"^(character varying|bit varying)\(\d+\)", r"\1", re.sub(r"^character\(\d+\)", "bpchar", type_))


def _scale(type_: tuple[str, tuple[str, ...]]) -> int:
    return int(type_[1][1]) if len(type_[1]) > 1 else 0


def _parse(type_: str) -> tuple[str, tuple[str, ...]]:
    match = re.fullmatch(r"(.*?)(?:\((\d+(?:,-?\d+)?)\))?", type_)
    assert match is not None
    return match[1], tuple(match[2].split(",")) if match[2] else ()
