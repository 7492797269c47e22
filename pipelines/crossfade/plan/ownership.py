"""What steps make for other roles: PostgreSQL lets nobody be given what they could not make themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import postgast
from postgast import pg_query_pb2 as pg

from crossfade.steps.step import AnyStep, Ddl

_WORDS = " OWNER TO "


def given_away(steps: Iterable[AnyStep]) -> frozenset[tuple[str, str]]:
    """Schemas of what is given to a role, with the role; on the way and on the way back."""
    return frozenset(
        given
        for step in with_undo(steps)
        if isinstance(step, Ddl)
        for statement in step.statements
        if _WORDS in statement
        for given in _given(statement)
    )


def with_undo(steps: Iterable[AnyStep]) -> Iterator[AnyStep]:
    for step in steps:
        yield step
        yield from with_undo(step.undo)


def _given(statement: str) -> Iterator[tuple[str, str]]:
    for parsed in postgast.parse(statement).stmts:
        match parsed.stmt.WhichOneof("node"):
            case "alter_owner_stmt":
                changed = parsed.stmt.alter_owner_stmt
                if len(path := _path(changed.object)) > 1:
                    yield path[-2], changed.newowner.rolename
            case "alter_table_stmt":
                altered = parsed.stmt.alter_table_stmt
                for part in (each.alter_table_cmd for each in altered.cmds):
                    if part.subtype == pg.AT_ChangeOwner and altered.relation.schemaname:
                        yield altered.relation.schemaname, part.newowner.rolename
            case _:
                pass


def _path(named: pg.Node) -> Sequence[str]:
    """Of a function its name stands apart from its arguments, of a type in a list of its own."""
    match named.WhichOneof("node"):
        case "object_with_args":
            parts = named.object_with_args.objname
        case "type_name":
            parts = named.type_name.names
        case _:
            parts = named.list.items
    return [part.string.sval for part in parts]
