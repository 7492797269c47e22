"""The words of a text that cannot be resolved: a column that is named there may be used."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d]\w*")


def words_of(text: str) -> frozenset[str]:
    """Every word that may be a name, in string literals and comments too; with each also in lower case."""
    found = frozenset(_WORD.findall(text))
    return found | frozenset(map(str.lower, found))
