"""What statements of an author's own lock, as far as their text tells, and the kind of change that does it safely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import postgast
from postgast import pg_query_pb2 as pg

from crossfade.plan.compiled import CompiledChange
from crossfade.plan.plan import PlannedHazard
from crossfade.steps.step import Autocommit, Ddl, LockMode, Relation

_MODES = ("", *get_args(LockMode))  # by number, as LOCK has them
_STOPS_ALL = "ACCESS EXCLUSIVE, under which nobody reads or writes it"
_BY_CHANGE = {
    pg.AT_AddColumn: "add_column",
    pg.AT_DropColumn: "drop_column",
    pg.AT_AlterColumnType: "change_column",
    pg.AT_SetNotNull: "change_column",
    pg.AT_AddConstraint: "add_constraint",
}


@dataclass(frozen=True)
class Taken:
    """One statement's lock. name: the statement's. fix: what does the same with a weaker or a shorter one."""

    name: str
    relation: str
    lock: str
    fix: str


def locking_hazards(compiled: Sequence[CompiledChange]) -> Iterator[PlannedHazard]:
    """Of `sql` changes: the statements known to keep others waiting."""
    for change in compiled:
        if change.entry.kind != "sql":
            continue
        for step in change.result.steps:
            made: set[str] = set()  # nobody else knows a table that is made here
            for statement in step.statements if isinstance(step, Ddl | Autocommit) else ():
                for parsed in postgast.parse(statement).stmts:
                    if parsed.stmt.HasField("create_stmt"):
                        made.add(_named(parsed.stmt.create_stmt.relation))
                    for taken in _taken(parsed.stmt):
                        if taken.relation not in made:
                            yield PlannedHazard(
                                code="sql-locks",
                                risk="warning",
                                change="sql",
                                what=f"{taken.name} takes {taken.lock}, on {taken.relation}, for as long as it runs",
                                fix=taken.fix,
                            )


def _taken(statement: pg.Node) -> Iterator[Taken]:
    match statement.WhichOneof("node"):
        case "alter_table_stmt" if statement.alter_table_stmt.objtype == pg.OBJECT_TABLE:
            yield _altered(statement.alter_table_stmt)
        case "lock_stmt":
            for locked in statement.lock_stmt.relations:
                mode = _MODES[statement.lock_stmt.mode]
                yield Taken("LOCK", _named(locked.range_var), mode, "leave it out; kinds of change lock what they need")
        case "index_stmt" if not statement.index_stmt.concurrent:
            lock = "SHARE, under which nobody writes it"
            yield Taken("CREATE INDEX", _named(statement.index_stmt.relation), lock, "use `create_index`")
        case "vacuum_stmt" if _says(statement.vacuum_stmt.options, "full"):
            vacuumed = [_named(each.vacuum_relation.relation) for each in statement.vacuum_stmt.rels]
            fix = "let a plain VACUUM reuse the room, or rewrite the table with pg_repack"
            yield Taken("VACUUM FULL", ", ".join(vacuumed) or "every table", _STOPS_ALL, fix)
        case "cluster_stmt":
            clustered = _named(statement.cluster_stmt.relation) or "every clustered table"
            yield Taken("CLUSTER", clustered, _STOPS_ALL, "rewrite the table with pg_repack")
        case "reindex_stmt" if not _says(statement.reindex_stmt.params, "concurrently"):
            lock = "SHARE on the table and ACCESS EXCLUSIVE on its index, under which nobody writes or reads by it"
            rebuilt = _named(statement.reindex_stmt.relation) or statement.reindex_stmt.name
            yield Taken("REINDEX", rebuilt, lock, "say REINDEX ... CONCURRENTLY, with `transaction: false`")
        case _:
            return


def _altered(statement: pg.AlterTableStmt) -> Taken:
    commands = [each.alter_table_cmd for each in statement.cmds]
    if all(command.subtype == pg.AT_ValidateConstraint for command in commands):
        lock, fix = "SHARE UPDATE EXCLUSIVE, which keeps only other DDL and vacuum waiting", "use `add_constraint`"
        return Taken("ALTER TABLE ... VALIDATE CONSTRAINT", _named(statement.relation), lock, fix)
    lock = f"a lock up to {_STOPS_ALL}, also while rows are checked or rewritten"
    kinds = dict.fromkeys(f"`{_BY_CHANGE[c.subtype]}`" for c in commands if c.subtype in _BY_CHANGE)
    fix = f"use {' and '.join(kinds)}" if kinds else "see that it neither reads nor rewrites rows"
    return Taken("ALTER TABLE", _named(statement.relation), lock, fix)


def _says(options: Sequence[pg.Node], word: str) -> bool:
    off = ("false", "off", "0")
    said = [each.def_elem for each in options if each.def_elem.defname == word]
    return any(option.arg.string.sval.lower() not in off for option in said)


def _named(relation: pg.RangeVar) -> str:
    if relation.schemaname:
        return str(Relation(schema_name=relation.schemaname, name=relation.relname))
    return relation.relname
