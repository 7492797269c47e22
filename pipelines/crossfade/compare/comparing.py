"""Compares two tables: reads what they are, then asks both servers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from crossfade.compare.errors import Incomparable
from crossfade.compare.found import Comparison
from crossfade.compare.question import Question
from crossfade.compare.shape import Pairing, pair, read_shape

if TYPE_CHECKING:
    import psycopg

    from crossfade.compare.rows import Rows
    from crossfade.compare.search import Rest
    from crossfade.compare.snapshots import Open

_LOOKS = 5  # while rows may settle
_PROBE = "SELECT pg_catalog.current_setting('server_encoding'), pg_catalog.hashtextextended('crossfade', 0)"


def compare(question: Question, open_session: Open, rest: Rest = time.sleep) -> Comparison:
    """Compare both sides, each on one snapshot.

    open_session: gives a read-only session on a database of that name. rest: waits that many seconds, between pieces
    and before rows are looked at again. Raises Incomparable when it cannot be asked, CompareFailed when a server
    cannot answer; what runs on the servers ends then, and with Ctrl-C.
    """
    # Here, because of the driver, which a gate that is only read does not need.
    from crossfade.compare.search import first_pass, looked_at_again, narrowed
    from crossfade.compare.snapshots import snapshots

    with snapshots(question, open_session) as asked:
        pairing, a, b = _both(question, *asked.sessions)
        if question.blocks is not None and (a.blocks is None or b.blocks is None):
            raise Incomparable(
                f"{question.a if a.blocks is None else question.b} cannot be read in pieces",
                why="it is no table of its database, so it has no blocks there",
                fix="leave out --blocks",
            )
        with asked.moment():
            found = first_pass(asked, a, b, question.blocks, rest)
            keys, more = narrowed(asked, a, b, found, question.most)
        left, seconds = keys, question.settle.total_seconds()
        for _ in range(_LOOKS if seconds else 0):
            if not left:
                break
            rest(seconds / _LOOKS)
            with asked.moment():
                left = looked_at_again(asked, a, b, left)
    return Comparison(
        str(question.a),
        str(question.b),
        found.rows,
        pairing.columns,
        pairing.key,
        tuple(left),
        more,
        len(keys) - len(left),
        pairing.notes,
        pairing.key_of,
    )


def _both(question: Question, a: psycopg.Connection[Any], b: psycopg.Connection[Any]) -> tuple[Pairing, Rows, Rows]:
    from crossfade.compare.rows import rows_of

    shape_a, shape_b = read_shape(a, question.a), read_shape(b, question.b)
    pairing = pair(question, shape_a, shape_b)
    (encoding_a, hash_a), (encoding_b, hash_b) = _probed(a), _probed(b)
    if hash_a != hash_b:
        raise Incomparable(
            f"the servers of {question.a} and {question.b} hash the same bytes to different numbers",
            why="checksums are computed there, and depend on the order of bytes in the processor's words",
            fix="compare on servers of the same kind of processor",
        )
    only = pairing.key[0]
    by_number = (
        len(pairing.key) == 1
        and only in shape_a.integers & shape_b.integers
        and only not in {*question.a.values, *question.b.values}
    )
    as_utf8 = encoding_a != encoding_b
    return (
        pairing,
        rows_of(question.a, shape_a, pairing, by_number=by_number, as_utf8=as_utf8),
        rows_of(question.b, shape_b, pairing, by_number=by_number, as_utf8=as_utf8),
    )


def _probed(session: psycopg.Connection[Any]) -> tuple[str, int]:
    row = session.execute(_PROBE).fetchone()
    assert row is not None
    return row[0], row[1]
