"""What the parts of an ALTER TABLE lock, as AlterTableGetLockLevel in PostgreSQL's source has them."""

from __future__ import annotations

from typing import get_args

from postgast import pg_query_pb2 as pg

from crossfade.steps.step import LockMode

MODES: tuple[LockMode, ...] = get_args(LockMode)  # the weakest first

_LETS_WRITERS_GO_ON = (
    pg.AT_SetStatistics,
    pg.AT_SetOptions,
    pg.AT_ResetOptions,
    pg.AT_ValidateConstraint,
    pg.AT_ClusterOn,
    pg.AT_DropCluster,
    pg.AT_AttachPartition,
    pg.AT_DetachPartitionFinalize,
)
_LETS_READERS_GO_ON = (
    pg.AT_EnableTrig,
    pg.AT_EnableAlwaysTrig,
    pg.AT_EnableReplicaTrig,
    pg.AT_DisableTrig,
    pg.AT_EnableTrigAll,
    pg.AT_DisableTrigAll,
    pg.AT_EnableTrigUser,
    pg.AT_DisableTrigUser,
)
_SAFER = {
    pg.AT_AddColumn: "add_column",
    pg.AT_DropColumn: "drop_column",
    pg.AT_AlterColumnType: "change_column",
    pg.AT_SetNotNull: "change_column",
    pg.AT_AddConstraint: "add_constraint",
    pg.AT_DropConstraint: "drop_constraint",
    pg.AT_ValidateConstraint: "validate_constraint",
}


def mode_of(node: pg.AlterTableStmt) -> LockMode:
    """The strongest that one of its parts takes on the table itself."""
    modes: list[LockMode] = [_mode(each.alter_table_cmd) for each in node.cmds]
    return max(modes, key=MODES.index)


def safer_than(node: pg.AlterTableStmt) -> str:
    """The kinds of change that do the same, or what to see to where there is none."""
    parts = (each.alter_table_cmd.subtype for each in node.cmds)
    kinds = dict.fromkeys(f"`{_SAFER[part]}`" for part in parts if part in _SAFER)
    return f"use {' and '.join(kinds)}" if kinds else "see that it neither reads nor rewrites rows"


def _mode(part: pg.AlterTableCmd) -> LockMode:
    inner = definition(part)
    match part.subtype:
        case pg.AT_AddConstraint if inner.constraint.contype == pg.CONSTR_FOREIGN:
            return "SHARE ROW EXCLUSIVE"
        case pg.AT_DetachPartition if inner.partition_cmd.concurrent:
            return "SHARE UPDATE EXCLUSIVE"
        case pg.AT_SetRelOptions | pg.AT_ResetRelOptions:
            names = {each.def_elem.defname for each in inner.list.items}
            return "ACCESS EXCLUSIVE" if "user_catalog_table" in names else "SHARE UPDATE EXCLUSIVE"
        case _ if part.subtype in _LETS_WRITERS_GO_ON:
            return "SHARE UPDATE EXCLUSIVE"
        case _ if part.subtype in _LETS_READERS_GO_ON:
            return "SHARE ROW EXCLUSIVE"
        case _:
            return "ACCESS EXCLUSIVE"


def definition(part: pg.AlterTableCmd) -> pg.Node:
    """What it adds, attaches or sets."""
    return getattr(part, "def")
