"""Statements that PostgreSQL refuses in a transaction, since they commit on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import postgast
from postgast import pg_query_pb2 as pg

_DATABASES = (pg.REINDEX_OBJECT_SCHEMA, pg.REINDEX_OBJECT_SYSTEM, pg.REINDEX_OBJECT_DATABASE)


def _reindexes(node: Any) -> bool:
    return node.kind in _DATABASES or any(each.def_elem.defname == "concurrently" for each in node.params)


def _detaches(node: Any) -> bool:
    commands = [each.alter_table_cmd for each in node.cmds]
    return any(
        command.subtype == pg.AT_DetachPartition and getattr(command, "def").partition_cmd.concurrent
        for command in commands
    )


_ALONE: dict[str, Callable[[Any], bool]] = {
    "index_stmt": lambda node: node.concurrent,
    "drop_stmt": lambda node: node.concurrent,
    "reindex_stmt": _reindexes,
    "alter_table_stmt": _detaches,
    "vacuum_stmt": lambda node: node.is_vacuumcmd,  # else ANALYZE
    "cluster_stmt": lambda node: not node.relation.relname,
    "discard_stmt": lambda node: node.target == pg.DISCARD_ALL,
    **dict.fromkeys(
        ("createdb_stmt", "dropdb_stmt", "create_table_space_stmt", "drop_table_space_stmt", "alter_system_stmt"),
        lambda _: True,
    ),
}


def runs_alone(statement: str) -> bool:
    """The one statement of the text is such."""
    node = postgast.parse(statement).stmts[0].stmt
    kind = node.WhichOneof("node") or ""
    return kind in _ALONE and bool(_ALONE[kind](getattr(node, kind)))
