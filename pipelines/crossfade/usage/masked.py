"""A statement as it may be kept: without a literal and without a comment, whatever the server shows of it.

pg_stat_statements shows literals where it could not replace them: in utility statements, in what it read anew after an
eviction, in comments. So the text is made again of the parser's tree, in which each constant is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pg

from crossfade.usage.words import words_of

# Of no use to a column, whatever they say.
NO_ROWS = frozenset(
    {
        "check_point_stmt",
        "close_portal_stmt",
        "deallocate_stmt",
        "discard_stmt",
        "execute_stmt",
        "fetch_stmt",
        "listen_stmt",
        "load_stmt",
        "notify_stmt",
        "transaction_stmt",
        "unlisten_stmt",
        "variable_set_stmt",
        "variable_show_stmt",
    }
)
# Statements with a query inside, which is what is kept of them.
WRAPPING = frozenset({"create_table_as_stmt", "declare_cursor_stmt", "explain_stmt", "prepare_stmt"})
_WHOLE = frozenset({"call_stmt", "delete_stmt", "insert_stmt", "merge_stmt", "select_stmt", "update_stmt"})
_LONGEST = 20_000  # characters


@dataclass(frozen=True)
class Masked:
    """What is kept of a statement.

    text: the statement, or in words what it is. names: of one that cannot be read, the names of the catalog in it.
    """

    text: str
    names: tuple[str, ...] | None = None


def masked(text: str, known: frozenset[str]) -> Masked | None:
    """The statement to keep; None where it is of no use to any column. known: names of the catalog."""
    try:
        nodes = [each.stmt for each in postgast.parse(text).stmts]
    except postgast.PgQueryError:
        return _unread("a statement that the parser cannot read", text, known)
    if all(node.WhichOneof("node") in NO_ROWS for node in nodes):
        return None
    if len(nodes) != 1:
        return _unread("several statements in one", text, known)
    node = nodes[0]
    while (kind := node.WhichOneof("node") or "") in WRAPPING:
        node = getattr(node, kind).query
    if kind == "copy_stmt":
        _strip(node.copy_stmt)
    elif kind not in _WHOLE:
        return _unread(kind.removesuffix("_stmt").replace("_", " ").upper(), text, known)
    made = _without_constants(node)
    return Masked(made) if made is not None else _unread("a statement of its own kind", text, known)


def _unread(what: str, text: str, known: frozenset[str]) -> Masked:
    return Masked(what, tuple(sorted(words_of(text) & known)))


def _strip(copy: pg.CopyStmt) -> None:
    """Without the file's name and the options."""
    copy.filename, copy.is_program = "", False
    del copy.options[:]


def _without_constants(node: pg.Node) -> str | None:
    """The statement's text; None where it cannot be made."""
    tree = pg.ParseResult()
    statement = tree.stmts.add().stmt
    statement.CopyFrom(node)
    _shorten(statement)
    for place, constant in enumerate([*_constants(statement)], 1):
        constant.param_ref.number = place
    try:
        made = postgast.deparse(tree)
        postgast.parse(made)
    except postgast.PgQueryError:
        return None
    return made if len(made) <= _LONGEST else None


def _shorten(statement: pg.Node) -> None:
    """One row of VALUES for all that say nothing but values: an INSERT of thousands uses the columns of one."""
    queries = [node for _, node in postgast.walk(statement) if isinstance(node, pg.SelectStmt)]
    for query in queries:
        first, others = query.values_lists[:1], query.values_lists[1:]
        kept = [*first, *(row for row in others if _says_names(row))]
        del query.values_lists[:]
        query.values_lists.extend(kept)


def _says_names(row: pg.Node) -> bool:
    return any(isinstance(node, (pg.ColumnRef, pg.SubLink, pg.FuncCall)) for _, node in postgast.walk(row))


def _constants(node: Message) -> Iterator[pg.Node]:
    """Nodes that are a literal or a parameter, but for a type's modifiers, which are numbers."""
    for field, value in node.ListFields():
        if isinstance(node, pg.TypeName) and field.name == "typmods":
            yield from (each for each in value if each.HasField("a_const") and not each.a_const.HasField("ival"))
        elif isinstance(value, Message):
            yield from _of(value)
        elif not isinstance(value, (str, bytes, int, float, bool)):
            for each in value:
                yield from _of(each) if isinstance(each, Message) else ()


def _of(value: Message) -> Iterator[pg.Node]:
    if isinstance(value, pg.Node) and value.WhichOneof("node") in ("a_const", "param_ref"):
        yield value
    else:
        yield from _constants(value)
