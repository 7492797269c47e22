"""What is wrong with text that is no YAML, in plain words: the parser's own are about its inside."""

from __future__ import annotations

from pathlib import Path

import yaml

from crossfade.errors import Position, Problem


def syntax_problem(error: yaml.MarkedYAMLError, text: str, path: Path) -> Problem:
    """The problem that the parser met in `text`, placed where a person would mend it."""
    where = _marked(error.problem_mark or error.context_mark, path)
    begun = _marked(error.context_mark or error.problem_mark, path)
    lines = text.splitlines()
    here = lines[where.line - 1][where.column - 1 :] if where.line <= len(lines) else ""
    match error.problem or "":
        case _ if here.startswith("\t"):
            what, fix = "a tab stands where YAML wants spaces", "indent with spaces"
        case problem if problem.startswith("mapping values are not allowed"):
            what = "a `:` is not expected here"
            fix = "put text that holds `: ` in quotes, and indent the keys of one mapping alike"
        case problem if problem.startswith("found character"):
            what, fix = f"a value cannot begin with `{here[:1]}`", "put the text in quotes"
        case "could not find expected ':'":
            what, fix, where = "no `:` follows this key", "end the key with `:`", begun
        case "found unexpected end of stream":
            what, fix, where = "this quote is never closed", "close it with the same quote", begun
        case problem if "',' or" in problem:
            what = f"this bracket is not closed before line {where.line}, or a comma is missing in it"
            fix, where = "close the bracket, and put commas between its entries", begun
        case "but found another document":
            what, fix = "a second document (`---`) begins here", "put it in a file of its own"
        case problem if problem.startswith("found undefined alias"):
            what = "this alias (`*name`) names an anchor that is not there"
            fix = "give the anchor (`&name`) before it, or put text that begins with `*` in quotes"
        case problem if "expected" in problem:
            what = f"this does not fit the list or mapping that began in line {begun.line}"
            fix = "indent its entries alike; in quoted text double the quote (`''`)"
        case problem:
            what, fix = f"not YAML: {problem}", "correct the syntax"
    return Problem(what, where, "the file is not YAML, so nothing of it could be read", fix)


def _marked(mark: yaml.Mark | None, path: Path) -> Position:
    return Position(path, mark.line + 1, mark.column + 1) if mark else Position(path)
