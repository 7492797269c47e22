"""What a partitioned table cannot have, or could not take over from the table it stands for: refused by name."""

from __future__ import annotations

import postgast
from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import ForeignKey, Name, Table, View
from crossfade.changes._context import Context
from crossfade.changes._mirrored import refuse_hidden_rows
from crossfade.changes._partition_by import By
from crossfade.changes._triggers import may_assign
from crossfade.changes._whole_table import refuse_held, refuse_part
from crossfade.composing import sql
from crossfade.spec.fragment import Expression, trusted
from crossfade.spec.values import LONGEST_NAME
from crossfade.steps.definitions import when_checked

_ACTS = ("ON DELETE CASCADE", "ON DELETE SET", "ON UPDATE CASCADE", "ON UPDATE SET")
_MOVES_AS_UPDATE = 150000  # before, a row that moves to another partition is deleted, for foreign keys too
_LATER = "drop it in a migration that comes before, and make it again after this one"


def refuse_table(context: Context, table: Table) -> None:
    """What it is, and what belongs to it."""
    if context.is_new(table):
        context.refuse(
            f"{table.name} is made by this migration",
            why="nobody writes it yet, so there is nothing to keep in step",
            fix="create it partitioned, with a `sql` change",
        )
    if table.kind == "partitioned":
        context.refuse(f"{table.name} is partitioned already, {table.partition_key}", at=("table",))
    refuse_part(context, table, "partitioned")
    refuse_held(context, table)
    refuse_hidden_rows(context, table)
    if table.unlogged:
        fix = "ALTER TABLE ... SET LOGGED first"
        context.refuse(f"{table.name} is unlogged", why="no partitioned table is", fix=fix)
    if table.publications:
        context.refuse(
            f"publication {table.publications[0].name} carries {table.name}",
            why="subscribers would be sent the rows twice, and know neither the table nor its partitions",
            fix="take it out of the publication before this migration, and in again after it, with"
            " publish_via_partition_root",
        )
    if table.replica_identity == "index":
        context.refuse(f"the replica identity of {table.name} is an index", fix="set it to DEFAULT or FULL first")
    if table.rules:
        context.refuse(f"{table.name} has a rule, {table.rules[0].name}", why="it would stay behind", fix=_LATER)
    _refuse_constraints(context, table)
    _refuse_triggers(context, table)
    _refuse_users(context, table)


def _refuse_constraints(context: Context, table: Table) -> None:
    for constraint in table.constraints:
        shown = f"constraint {constraint.name} of {table.name}"
        if not constraint.validated:
            fix = "validate it first (`validate_constraint`)"
            context.refuse(f"{shown} is NOT VALID", why="rows that break it could not be copied", fix=fix)
        if constraint.kind == "exclude":
            why = "PostgreSQL would compare the rows of one partition only"
            context.refuse(f"{shown} is an exclusion constraint", why=why, fix=_LATER)
        if constraint.deferrable and constraint.kind in ("primary_key", "unique"):
            why = "rows are copied one by one, and it would refuse what is right when all of them are"
            context.refuse(f"{shown} is deferrable", why=why, fix="make it one that is not, in a migration before")
        if constraint.definition.endswith("NO INHERIT"):
            context.refuse(f"{shown} is NO INHERIT", why="no partitioned table has such a rule", fix=_LATER)
    if invalid := [index.name for index in table.indexes if not index.valid]:
        context.refuse(f"index {invalid[0]} of {table.name} is invalid", fix="drop it, or build it again, first")


def _refuse_triggers(context: Context, table: Table) -> None:
    for trigger in table.user_triggers:
        if trigger.row and " REFERENCING " in trigger.definition:
            context.refuse(
                f"trigger {trigger.name} of {table.name} is FOR EACH ROW and has a transition table",
                why="PostgreSQL takes none on a partitioned table",
                fix="make it FOR EACH STATEMENT first",
            )


def _refuse_users(context: Context, table: Table) -> None:
    """What holds on to the table itself, whatever its name."""
    apart = ("materialized view", "view", "foreign key", "function body", "generated column", "publication", "trigger")
    for dependent in table.dependents:
        if dependent.kind not in apart and not dependent.name.endswith(f" on {table.name}"):
            context.refuse(
                f"{dependent.kind} {dependent.name} uses {table.name}",
                why="it holds on to the table itself, and would go on with the one of old",
                fix=_LATER,
            )
        if dependent.kind == "view" and dependent.of not in context.catalog.views:
            context.refuse(f"view {dependent.name} reads {table.name}, and could not be read", fix=_LATER)
    for sequence in context.catalog.sequences.values():
        of, column = sequence.owned_by or (None, "")
        others = [use for use in sequence.uses if use.path[:2] != (table.name.schema, table.name.name)]
        if of == table.name and table.by_name[column].identity and others:
            context.refuse(
                f"{others[0]} draws from {sequence.name}, the sequence of an identity of {table.name}",
                why="the partitioned table gets a sequence of its own, and both would count",
                fix="give it a sequence of its own first",
            )


def reading_views(context: Context, table: Table, *, own_key: bool) -> list[View]:
    """Those that read the table itself; refused where they cannot be replaced as they stand."""
    found = [view for view in context.catalog.views.values() if any(name == table.name for name, _ in view.reads)]
    for view in found:
        if view.materialized or view.extension is not None:
            what = f"{view.kind} {view.name} reads {table.name}"
            why = "it could only be made anew, and would be empty for as long as that takes"
            context.refuse(what, why=why if view.materialized else "it is an extension's", fix=_LATER)
        if own_key and _groups(view):
            context.refuse(
                f"view {view.name} has a GROUP BY over {table.name}, which gets another primary key",
                why="what it shows beside the columns it groups by may rest on the key there is",
                fix=_LATER,
            )
    return sorted(found, key=lambda view: view.name)


def _groups(view: View) -> bool:
    return any(
        isinstance(n, pg.SelectStmt) and n.group_clause for _, n in postgast.walk(postgast.parse(view.definition))
    )


def refuse_columns(context: Context, table: Table, by: By, at: str) -> None:
    """Of the columns it is to be partitioned by. at: the key that says how."""
    for name in by.columns:
        column = context.column(table, name, at)
        if column.generated:
            context.refuse(f"{table.name}.{name} is generated", why="PostgreSQL does not partition by it", at=(at,))
        with context.at(at):
            context.probe.key(column.type, "hash" if by.method == "HASH" else "btree")
            for literal in by.literals:
                value = sql.SQL("{}::{}").format(sql.Literal(str(literal)), trusted(column.type))
                context.probe.expression(Expression(value.as_string(None)), table=table.name.name, row={})
        for trigger in table.user_triggers:
            if trigger.before and trigger.row and name in (may_assign(trigger) or ()):
                context.refuse(
                    f"trigger {trigger.name} of {table.name} assigns {name} before a row is written",
                    why="PostgreSQL has chosen the partition by then, and refuses a row that belongs into another",
                    fix="give the column a default in place of that, in a migration that comes before",
                    at=(at,),
                )


def refuse_unique(context: Context, table: Table, by: By) -> None:
    """Unique rules beside the key: each partition knows its own rows only."""
    for index in table.indexes:
        missing = [name for name in by.columns if name not in index.columns]
        if index.unique and not index.primary and missing:
            context.refuse(
                f"{missing[0]} is not in the unique index {index.name} of {table.name} ({', '.join(index.columns)})",
                why="PostgreSQL keeps a unique rule within each partition, so its key must tell the partition",
                fix=f"drop it in a migration that comes before; where it is enough, add {missing[0]} to it",
            )


def refuse_references(context: Context, table: Table, by: By, keys: list[ForeignKey], *, own_key: bool) -> None:
    """Foreign keys of other tables, and its own to itself."""
    primary = next((c.columns for c in table.constraints if c.kind == "primary_key"), ())
    for key in keys:
        shown = f"foreign key {key.name} of {key.child}"
        if key.child == table.name:
            context.refuse(
                f"{key.name} of {table.name} refers to the table itself",
                why="rows are copied in the order they lie in, and one may come before the one it refers to",
                fix=_LATER,
            )
        child = context.catalog.tables.get(key.child)
        missing = [name for name in by.columns if name not in key.referenced_columns]
        if missing or (own_key and set(key.referenced_columns) == set(primary)):
            context.refuse(
                f"{shown} refers to {table.name} ({', '.join(key.referenced_columns)})",
                why=f"these are unique in the partitioned table only together with {', '.join(missing or by.columns)}",
                fix="drop it in a migration that comes before; or partition by columns that it refers to",
            )
        if child is None or child.kind == "partitioned" or child.partition_of is not None:
            context.refuse(
                f"{shown} is of a partitioned table",
                why="PostgreSQL takes no NOT VALID foreign key there: to make it again would lock the table for a scan",
                fix=_LATER,
            )
        acts = any(act in key.definition for act in _ACTS)
        if acts and context.catalog.server.version < _MOVES_AS_UPDATE:
            context.refuse(
                f"{shown} acts on its rows, and {context.database} runs PostgreSQL 14",
                why="there a row that moves to another partition counts as deleted, and takes its children with it",
                fix="upgrade to PostgreSQL 15 first",
            )
        if acts and when_checked(key.definition):
            context.refuse(
                f"{shown} is deferrable and acts on its rows",
                why="what a transaction puts right before its end would have been acted on in the twin",
                fix="make it one that is not deferrable, in a migration that comes before",
            )


def refuse_names(context: Context, table: Table, by: By, at: str) -> None:
    """Names of partitions that are taken, or too long."""
    catalog, schema = context.catalog, table.name.schema
    indexes = {i.name for other in catalog.tables.values() if other.name.schema == schema for i in other.indexes}
    taken = (catalog.tables, catalog.views, catalog.sequences, catalog.types)
    for partition in by.made(table.name.name):
        name = Name(schema, partition.name)
        if len(partition.name.encode()) > LONGEST_NAME:
            context.refuse(f"{partition.name} is longer than the {LONGEST_NAME} bytes of a name", at=(at,))
        if partition.name in indexes or any(name in known for known in taken):
            context.refuse(
                f"{name} exists already, and a partition is to be called so", fix="rename it first", at=(at,)
            )
