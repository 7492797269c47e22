"""Another session's query is shown without its values, whole or cut."""

from __future__ import annotations

import pytest

from crossfade.execute.masked import masked


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("UPDATE t SET a = 'S3cret' WHERE id = 17", "UPDATE t SET a = ? WHERE id = ?"),
        ("/* S3cret */ SELECT 1 -- S3cret", "SELECT ?"),
        ("EXECUTE put('S3cret', 1.5, X'5E', $1)", "EXECUTE put(?, ?, ?, $1)"),
        ("COMMENT ON TABLE t IS $x$S3cret$x$", "COMMENT ON TABLE t IS ?"),
        ("INSERT INTO \"Ærå\" VALUES (E'it\\'s', 'S3cr", 'INSERT INTO "Ærå" VALUES (?, ...'),
        ("SELECT a /* S3cr", "SELECT a ..."),
        ("", ""),
    ],
)
def test_literals_and_comments_are_left_out(query: str, shown: str) -> None:
    assert masked(query) == shown


def test_a_long_query_is_cut() -> None:
    assert len(masked("SELECT " + ", ".join(f"column_{n}" for n in range(100)))) == 203
