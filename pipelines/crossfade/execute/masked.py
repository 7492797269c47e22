"""Another session's query as it may be shown: its words, without any value and any comment.

PostgreSQL's scanner finds the literals, so that nothing depends on whether the text is whole: pg_stat_activity cuts it
at track_activity_query_size, often within a literal.
"""

from __future__ import annotations

_LONGEST = 200  # characters
_CUT = "..."


def masked(query: str) -> str:
    """The query on one line, at most 200 characters, each literal as `?`."""
    import postgast  # 50 ms, and most runs meet nobody

    try:
        shown = _shown(query)
    except postgast.PgQueryError as error:
        # The literal or comment that is not closed begins there; all before it can be read.
        try:
            shown = f"{_shown(query[: max(error.cursorpos - 1, 0)])} {_CUT}"
        except postgast.PgQueryError:
            shown = _CUT
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}{_CUT}"


def _shown(query: str) -> str:
    import postgast
    from postgast import pg_query_pb2 as tokens

    values = {tokens.SCONST, tokens.USCONST, tokens.BCONST, tokens.XCONST, tokens.ICONST, tokens.FCONST}
    comments = {tokens.SQL_COMMENT, tokens.C_COMMENT}
    text = query.encode()
    parts: list[str] = []
    end = 0
    for token in postgast.scan(query).tokens:
        if token.token in comments:
            continue
        if parts and token.start > end:
            parts.append(" ")
        word = text[token.start : token.end].decode()
        parts.append("?" if token.token in values else word)
        end = token.end
    return "".join(parts)
