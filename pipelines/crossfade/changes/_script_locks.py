"""What statements of an author's own lock, as far as their text and the catalog tell.

Modes are those of PostgreSQL's manual, "Explicit Locking" and the page of each statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import postgast
from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import Catalog, Name
from crossfade.changes._alter_locks import MODES, definition, mode_of, safer_than
from crossfade.steps.compose import relation
from crossfade.steps.step import Lock, LockMode

_DROPPED_WITH_TABLE = {pg.OBJECT_TRIGGER: "drop_trigger", pg.OBJECT_POLICY: "drop_policy", pg.OBJECT_RULE: None}
_DROPPED = {pg.OBJECT_TABLE: "drop_table", pg.OBJECT_VIEW: "drop_view", pg.OBJECT_MATVIEW: None}
# These lock no table by themselves, or rows and nothing that a reader or a writer of other rows waits for.
_HARMLESS = frozenset(
    (
        "create_function_stmt",
        "create_enum_stmt",
        "composite_type_stmt",
        "create_domain_stmt",
        "create_seq_stmt",
        "create_schema_stmt",
        "create_stats_stmt",
        "define_stmt",
        "grant_stmt",
        "grant_role_stmt",
        "insert_stmt",
        "variable_set_stmt",
    )
)


@dataclass(frozen=True)
class Taken:
    """A lock that a statement takes. by: the statement's name. safer: a kind of change, or other words."""

    by: str
    relation: Name
    mode: LockMode
    safer: str | None = None


@dataclass(frozen=True)
class Holds:
    """A statement that writes rows, each of which it holds until its transaction ends."""

    by: str
    kind: Literal["update_rows", "delete_rows"]


@dataclass(frozen=True)
class Unknown:
    """A statement of which text and catalog do not tell what it locks."""

    by: str


@dataclass(frozen=True)
class ScriptLocks:
    """What a script takes, in its order, of what was there before it."""

    taken: tuple[Taken, ...]
    holds: tuple[Holds, ...]
    unknown: tuple[str, ...]

    def locks(self) -> tuple[Lock, ...]:
        """The strongest on each relation."""
        strongest: dict[Name, LockMode] = {}
        for each in self.taken:
            if MODES.index(each.mode) >= MODES.index(strongest.get(each.relation, each.mode)):
                strongest[each.relation] = each.mode
        return tuple(Lock(relation=relation(name), mode=mode) for name, mode in strongest.items())


def script_locks(statements: Iterable[str], catalog: Catalog, schema: str) -> ScriptLocks:
    """schema: where a name without one is looked for."""
    reader = _Reader(catalog, schema)
    found = [each for statement in statements for each in reader.read(statement)]
    return ScriptLocks(
        taken=tuple(each for each in found if isinstance(each, Taken)),
        holds=tuple(each for each in found if isinstance(each, Holds)),
        unknown=tuple(dict.fromkeys(each.by for each in found if isinstance(each, Unknown))),
    )


_Found = Taken | Holds | Unknown


class _Reader:
    """Remembers what the script itself makes: nobody else knows that yet."""

    def __init__(self, catalog: Catalog, schema: str) -> None:
        self._catalog = catalog
        self._schema = schema
        self._made: set[Name] = set()

    def read(self, text: str) -> Iterator[_Found]:
        for parsed in postgast.parse(text).stmts:
            name = parsed.stmt.WhichOneof("node") or ""
            yield from self._statement(name, getattr(parsed.stmt, name))

    def _statement(self, name: str, node: Any) -> Iterator[_Found]:
        match name:
            case "alter_table_stmt" if node.objtype == pg.OBJECT_TABLE:
                yield from self._altered(node)
            case "rename_stmt" if node.relation.relname:
                yield from self._on(node.relation, "ALTER TABLE ... RENAME", "ACCESS EXCLUSIVE", _renaming(node))
            case "alter_object_schema_stmt" if node.relation.relname:
                yield from self._on(node.relation, "ALTER TABLE ... SET SCHEMA", "ACCESS EXCLUSIVE")
            case "index_stmt":
                mode: LockMode = "SHARE UPDATE EXCLUSIVE" if node.concurrent else "SHARE"
                yield from self._on(node.relation, "CREATE INDEX", mode, "use `create_index`")
            case "create_stmt":
                yield from self._created(node)
            case "create_table_as_stmt":
                self._made.add(self._name(node.into.rel))
            case "view_stmt":
                if self._name(node.view) in self._catalog.views:
                    yield from self._on(node.view, "CREATE OR REPLACE VIEW", "ACCESS EXCLUSIVE", "use `replace_view`")
                self._made.add(self._name(node.view))
            case "create_trig_stmt":
                yield from self._on(node.relation, "CREATE TRIGGER", "SHARE ROW EXCLUSIVE", "use `create_trigger`")
            case "create_policy_stmt":
                yield from self._on(node.table, "CREATE POLICY", "ACCESS EXCLUSIVE", "use `create_policy`")
            case "alter_policy_stmt":
                yield from self._on(node.table, "ALTER POLICY", "ACCESS EXCLUSIVE")
            case "rule_stmt":
                yield from self._on(node.relation, "CREATE RULE", "ACCESS EXCLUSIVE")
            case "drop_stmt":
                yield from self._dropped(node)
            case "truncate_stmt":
                for each in node.relations:
                    yield from self._on(each.range_var, "TRUNCATE", "ACCESS EXCLUSIVE", "use `delete_rows`")
                if node.behavior == pg.DROP_CASCADE:
                    yield Unknown("TRUNCATE ... CASCADE")
            case "comment_stmt":
                yield from self._commented(node)
            case _:
                yield from self._other(name, node)

    def _other(self, name: str, node: Any) -> Iterator[_Found]:
        match name:
            case "update_stmt":
                yield Holds("UPDATE", "update_rows")
            case "merge_stmt":
                yield Holds("MERGE", "update_rows")
            case "delete_stmt":
                yield Holds("DELETE", "delete_rows")
            case "lock_stmt":
                number: int = node.mode  # 1 is the weakest
                fix = "leave it out; what the step is known to lock is taken before it begins"
                for each in node.relations:
                    yield from self._on(each.range_var, "LOCK", MODES[number - 1], fix)
            case "vacuum_stmt":
                full = _says(node.options, "full")
                mode: LockMode = "ACCESS EXCLUSIVE" if full else "SHARE UPDATE EXCLUSIVE"
                fix = "let a plain VACUUM reuse the room, or rewrite the table with pg_repack"
                if not node.rels:
                    yield Unknown("VACUUM of all tables")
                for each in node.rels:
                    yield from self._on(each.vacuum_relation.relation, "VACUUM FULL" if full else "VACUUM", mode, fix)
            case "cluster_stmt" if node.relation.relname:
                yield from self._on(node.relation, "CLUSTER", "ACCESS EXCLUSIVE", "rewrite the table with pg_repack")
            case "reindex_stmt" if node.kind in (pg.REINDEX_OBJECT_TABLE, pg.REINDEX_OBJECT_INDEX):
                yield from self._reindexed(node)
            case "refresh_mat_view_stmt":  # concurrently it can be read, and nobody else writes it
                fix = "say CONCURRENTLY, under which it can be read"
                if not node.concurrent:
                    yield from self._on(node.relation, "REFRESH MATERIALIZED VIEW", "ACCESS EXCLUSIVE", fix)
            case "select_stmt" if not _calls(node):
                return
            case _ if name not in _HARMLESS:
                yield Unknown(_title(name))
            case _:
                return

    def _altered(self, node: pg.AlterTableStmt) -> Iterator[_Found]:
        safer = safer_than(node)
        yield from self._on(node.relation, "ALTER TABLE", mode_of(node), safer)
        for part in (each.alter_table_cmd for each in node.cmds):
            inner = definition(part)
            if part.subtype == pg.AT_AddConstraint and inner.constraint.contype == pg.CONSTR_FOREIGN:
                yield from self._on(inner.constraint.pktable, "ADD FOREIGN KEY", "SHARE ROW EXCLUSIVE", safer)
            if part.subtype in (pg.AT_AttachPartition, pg.AT_DetachPartition):
                yield from self._on(inner.partition_cmd.name, "ALTER TABLE", "ACCESS EXCLUSIVE", safer)

    def _created(self, node: pg.CreateStmt) -> Iterator[_Found]:
        name = self._name(node.relation)
        if name in self._catalog.tables:  # IF NOT EXISTS
            return
        self._made.add(name)
        for parent in node.inh_relations:
            mode: LockMode = "ACCESS EXCLUSIVE" if node.HasField("partbound") else "SHARE UPDATE EXCLUSIVE"
            yield from self._on(parent.range_var, "CREATE TABLE", mode, "make the table first, then ATTACH PARTITION")
        columns = [each.column_def for each in node.table_elts if each.HasField("column_def")]
        rules = [each.constraint for each in node.table_elts if each.HasField("constraint")]
        rules += [each.constraint for column in columns for each in column.constraints]
        for rule in rules:
            if rule.contype == pg.CONSTR_FOREIGN:
                yield from self._on(rule.pktable, "CREATE TABLE", "SHARE ROW EXCLUSIVE", "use `create_table`")

    def _dropped(self, node: pg.DropStmt) -> Iterator[_Found]:
        what = pg.ObjectType.Name(node.remove_type).removeprefix("OBJECT_").replace("MATVIEW", "MATERIALIZED VIEW")
        by = f"DROP {what}"
        for each in node.objects:
            path = [part.string.sval for part in each.list.items]
            if node.remove_type in _DROPPED:
                yield from self._on_name(self._path(path), by, "ACCESS EXCLUSIVE", _use(_DROPPED[node.remove_type]))
                yield from self._parents(self._path(path), by)
            elif node.remove_type in _DROPPED_WITH_TABLE:
                safer = _use(_DROPPED_WITH_TABLE[node.remove_type])
                yield from self._on_name(self._path(path[:-1]), by, "ACCESS EXCLUSIVE", safer)
            elif node.remove_type == pg.OBJECT_INDEX:
                mode: LockMode = "SHARE UPDATE EXCLUSIVE" if node.concurrent else "ACCESS EXCLUSIVE"
                yield from self._on_index(self._path(path), by, mode, "use `drop_index`")
        if node.behavior == pg.DROP_CASCADE:
            yield Unknown(f"{by} ... CASCADE")

    def _parents(self, name: Name, by: str) -> Iterator[_Found]:
        """A foreign key goes with its table, and its triggers on the parent with it."""
        for key in self._catalog.references_from(name):
            if key.parent != name:
                yield Taken(by, key.parent, "ACCESS EXCLUSIVE", "use `drop_table`")

    def _reindexed(self, node: pg.ReindexStmt) -> Iterator[_Found]:
        concurrent = _says(node.params, "concurrently")
        mode: LockMode = "SHARE UPDATE EXCLUSIVE" if concurrent else "SHARE"
        fix = "use `rebuild_index`, or say REINDEX ... CONCURRENTLY, with `transaction: false`"
        if node.kind == pg.REINDEX_OBJECT_INDEX:
            yield from self._on_index(self._name(node.relation), "REINDEX", mode, fix)
        else:
            yield from self._on(node.relation, "REINDEX", mode, fix)

    def _commented(self, node: pg.CommentStmt) -> Iterator[_Found]:
        """What is no table's is locked for other DDL alone."""
        path = [part.string.sval for part in node.object.list.items]
        if node.objtype in (pg.OBJECT_COLUMN, pg.OBJECT_TABCONSTRAINT):
            path = path[:-1]
        elif node.objtype != pg.OBJECT_TABLE:
            return
        if (name := self._path(path)) not in self._catalog.views:
            yield from self._on_name(name, "COMMENT", "SHARE UPDATE EXCLUSIVE")

    def _on(self, found: pg.RangeVar, by: str, mode: LockMode, safer: str | None = None) -> Iterator[_Found]:
        return self._on_name(self._name(found), by, mode, safer)

    def _on_index(self, index: Name, by: str, mode: LockMode, safer: str) -> Iterator[_Found]:
        tables = self._catalog.tables.values()
        owner = next(
            (t.name for t in tables if t.name.schema == index.schema and any(i.name == index.name for i in t.indexes)),
            None,
        )
        return self._on_name(owner or index, by, mode, safer)

    def _on_name(self, name: Name, by: str, mode: LockMode, safer: str | None = None) -> Iterator[_Found]:
        if name in self._made:
            return
        if name in self._catalog.tables or name in self._catalog.views:
            yield Taken(by, name, mode, safer)
        else:
            yield Unknown(f"{by} on {name}")

    def _name(self, found: pg.RangeVar) -> Name:
        return Name(found.schemaname or self._schema, found.relname)

    def _path(self, parts: Sequence[str]) -> Name:
        return Name(parts[-2] if len(parts) > 1 else self._schema, parts[-1])


def _renaming(node: pg.RenameStmt) -> str | None:
    return {pg.OBJECT_TABLE: "use `rename_table`", pg.OBJECT_COLUMN: "use `rename_column`"}.get(node.rename_type)


def _use(kind: str | None) -> str | None:
    return f"use `{kind}`" if kind else None


def _says(options: Sequence[pg.Node], word: str) -> bool:
    off = ("false", "off", "0")
    said = [each.def_elem for each in options if each.def_elem.defname == word]
    return any(option.arg.string.sval.lower() not in off for option in said)


def _calls(node: pg.SelectStmt) -> bool:
    """Whether a function is called: what it does, its name does not tell."""
    return any(isinstance(each, pg.FuncCall) for _, each in postgast.walk(node))


def _title(name: str) -> str:
    """`do_stmt` as a person says it."""
    if name == "select_stmt":
        return "a function that is called"
    return name.removesuffix("_stmt").replace("_", " ").upper()
