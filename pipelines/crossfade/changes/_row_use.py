"""What the text of a trigger's function does with its row: which fields it names, and which it may assign.

Read word by word with PostgreSQL's own scanner, for no parser here takes all of PL/pgSQL: it tells what stands there,
not what runs. Where it errs, a field counts as assigned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import postgast
from postgast import pg_query_pb2 as pg

_COMMENTS = {pg.SQL_COMMENT, pg.C_COMMENT}
_STRINGS = {pg.SCONST, pg.USCONST}
_BEHIND_DOT = re.compile(r'\.\s*"?([\w$]+)')
_BEGINNINGS = (";", "begin", "then", "else", "loop", ">>")  # what stands before a statement of PL/pgSQL
_RETURNED = (["new"], ["(", "new", ")"], ["old"], ["null"], ["coalesce", "(", "new", ",", "old", ")"])


@dataclass(frozen=True, slots=True)
class _Word:
    """A name as the catalog has it, the inside of a string, or a sign as it stands there."""

    text: str
    kind: Literal["name", "string", "sign"]


@dataclass(frozen=True, slots=True)
class RowUse:
    """What a text does with its row.

    named: fields of the new or the old row. selected: whatever stands behind a dot. said: every name.
    assigned: fields of the new row that may get a value; None: any of them may.
    passes: takes a row as a whole somewhere, beside giving it back. calls: names before a bracket.
    expands: lists all fields of a row by their order, as in INSERT INTO log SELECT new.*.
    quoted: what stands behind a dot in its strings, as dynamic SQL would select it.
    """

    named: frozenset[str] = frozenset()
    selected: frozenset[str] = frozenset()
    said: frozenset[str] = frozenset()
    assigned: frozenset[str] | None = None
    passes: bool = True
    expands: bool = False
    calls: frozenset[str] = frozenset()
    quoted: frozenset[str] = frozenset()


@lru_cache(maxsize=256)
def row_use(text: str) -> RowUse:
    """Of a text that PostgreSQL's scanner cannot read nothing is known but that anything may be."""
    try:
        words = _scanned(text)
    except postgast.PgQueryError:
        return RowUse()
    names = [at for at, word in enumerate(words) if word.kind == "name"]
    fields = {at: _path(words, at)[0] for at in names if words[at].text in ("new", "old")}
    behind_dots = [part for word in words if word.kind == "string" for part in _BEHIND_DOT.findall(word.text)]
    return RowUse(
        named=frozenset(field for field in fields.values() if field not in (None, "*")),
        selected=frozenset(words[at].text for at in names if at and words[at - 1].text == "."),
        said=frozenset(words[at].text for at in names),
        assigned=_assigned(words),
        passes=any(field in (None, "*") and not _is_given_back(words, at) for at, field in fields.items()),
        expands=any(field == "*" and _is_listed(words, at) for at, field in fields.items()),
        calls=frozenset(words[at].text for at in names if words[at + 1 : at + 2] == [_Word("(", "sign")]),
        quoted=frozenset([*behind_dots, *map(str.lower, behind_dots)]),
    )


def _scanned(text: str) -> list[_Word]:
    raw = text.encode()
    found: list[_Word] = []
    for token in postgast.scan(text).tokens:
        said = raw[token.start : token.end].decode()
        if token.token in _COMMENTS:
            continue
        if token.token in _STRINGS:
            found.append(_Word(_inside(said), "string"))
        elif said.startswith('"'):
            found.append(_Word(said[1:-1].replace('""', '"'), "name"))
        elif token.token in (pg.IDENT, pg.UIDENT) or token.keyword_kind:
            found.append(_Word(said.lower(), "name"))
        else:
            found.append(_Word(said, "sign"))
    return found


def _inside(string: str) -> str:
    """What stands between its quotes, of whatever kind they are."""
    if string.startswith("$"):
        tag = string.index("$", 1) + 1
        return string[tag:-tag]
    return string[string.index("'") + 1 : -1].replace("''", "'")


def _path(words: list[_Word], at: int) -> tuple[str | None, int]:
    """What is selected first of the variable named at `at`, None for the whole of it, and where the next word is."""
    field: str | None = None
    end = at + 1
    if [word.text for word in words[max(at - 1, 0) : at + 3]] == ["(", words[at].text, ")", "."]:  # (new).field
        end += 1
    while end + 1 < len(words) and words[end].text in (".", "["):
        if words[end].text == ".":
            field = field or words[end + 1].text
            end += 2
        else:
            end = _past(words, end, "]")
    return field, end


def _is_listed(words: list[_Word], at: int) -> bool:
    """The row's fields stand at `at` each for itself: not as the row that a function is given, nor compared."""
    end = _path(words, at)[1]
    if [word.text for word in words[end : end + 1]] == ["is"] or words[at - 2].text == "distinct":
        return False
    depth = 0
    while at and words[at - 1] != _Word(";", "sign"):
        at -= 1
        depth += (words[at].text == ")") - (words[at].text == "(")
        if depth < 0:
            return words[at - 1].text in ("values", "row") or words[at - 1].kind == "sign"
    return True


def _past(words: list[_Word], at: int, sign: str) -> int:
    """Where the words behind the next such sign begin."""
    while at < len(words) and words[at] != _Word(sign, "sign"):
        at += 1
    return at + 1


def _is_given_back(words: list[_Word], at: int) -> bool:
    """The row at `at` is what RETURN returns."""
    while at and words[at] != _Word(";", "sign"):
        if words[at] == _Word("return", "name"):
            return _returned(words, at + 1) in _RETURNED
        at -= 1
    return False


def _returned(words: list[_Word], at: int) -> list[str]:
    return [word.text for word in words[at : _past(words, at, ";") - 1]]


def _assigned(words: list[_Word]) -> frozenset[str] | None:
    found = set(_targets(words))
    return None if None in found else frozenset(field for field in found if field)


def _targets(words: list[_Word]) -> Iterator[str | None]:
    """The fields of the new row in places where PL/pgSQL assigns; None for the row as a whole."""
    for at, word in enumerate(words):
        before = words[at - 1].text if at else ";"
        if word.kind != "name" or (before == "." and word.text != "new"):
            continue
        if word.text == "new":
            field, end = _path(words, at)
            follows = words[end].text if end < len(words) else ""
            begun = words[at - 3].text if before == "." and at > 2 else before  # label.new.field
            if follows == ":=" or (follows == "=" and begun in _BEGINNINGS):
                yield field
        elif word.text == "return":
            if _returned(words, at + 1) not in _RETURNED:
                yield None
        elif word.text in ("for", "foreach") or (word.text == "into" and before not in ("insert", "merge")):
            yield from _listed(words, at + 1)
        elif word.text in ("call", "diagnostics"):
            rest = range(at + 1, _past(words, at, ";"))
            yield from (_path(words, place)[0] for place in rest if words[place : place + 1] == [_Word("new", "name")])


def _listed(words: list[_Word], at: int) -> Iterator[str | None]:
    """The new row's fields in a list of targets."""
    if words[at : at + 1] == [_Word("strict", "name")]:
        at += 1
    while at < len(words) and words[at].kind == "name":
        if [word.text for word in words[at + 1 : at + 3]] == [".", "new"]:  # label.new.field
            at += 2
        field, end = _path(words, at)
        if words[at].text == "new":
            yield field
        if words[end : end + 1] != [_Word(",", "sign")]:
            return
        at = end + 1
