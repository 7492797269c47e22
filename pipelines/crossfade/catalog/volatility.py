"""Which column defaults call a volatile function: adding such a column rewrites the table.

pg_depend cannot say, since built-in functions have no rows in it, so the expressions are parsed. Operators
and casts are taken for what they are in all but the oddest schemas: not volatile.
"""

from __future__ import annotations

import re
from functools import lru_cache

import postgast
from postgast.pg_query_pb2 import FuncCall

from crossfade.catalog.parts import Name

# A quoted identifier, kept as it is, or a literal as pg_get_expr prints it: quotes doubled, backslashes too.
_QUOTED = re.compile(r"""("(?:[^"]|"")*")|E?'(?:[^']|'')*'""")


def is_volatile(expression: str, volatile: frozenset[Name]) -> bool:
    """Whether an expression calls one of the volatile functions, or cannot be parsed, so that it might.

    It must have been printed with an empty search_path, so that an unqualified name is one of pg_catalog.
    """
    # Hundreds of nextval('..._id_seq') are one expression once their literals are emptied: parsed once.
    called = _functions_called(_QUOTED.sub(lambda match: match[1] or "''", expression))
    return called is None or not called.isdisjoint(volatile)


@lru_cache(maxsize=4096)
def _functions_called(expression: str) -> frozenset[Name] | None:
    if "(" not in expression:
        return frozenset()
    try:
        tree = postgast.parse(f"SELECT {expression}")
    except postgast.PgQueryError:
        return None
    parts = ([part.string.sval for part in call.funcname] for call in postgast.find_nodes(tree, FuncCall))
    return frozenset(Name(name[-2] if len(name) > 1 else "pg_catalog", name[-1]) for name in parts)
