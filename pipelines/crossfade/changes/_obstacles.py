"""What stands in the way of a change of columns, found out when planning and refused by name with a way out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NoReturn

from crossfade.catalog.dependents import words
from crossfade.catalog.model import OWN_PREFIX, Column, Dependent, Name, Table
from crossfade.changes._change import Hazard, Refused
from crossfade.changes._context import Context
from crossfade.changes._row_use import row_use
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import LONGEST_NAME
from crossfade.steps import carry, definitions
from crossfade.steps.compose import identifier


def rule_name(table: str, column: str, label: str) -> str:
    """As PostgreSQL itself calls such a rule: the longer of both names is cut until the whole fits."""
    while len(f"{table}_{column}_{label}".encode()) > LONGEST_NAME:
        if len(table.encode()) > len(column.encode()):
            table = table[:-1]
        else:
            column = column[:-1]
    return f"{table}_{column}_{label}"


def refuse_taken_name(context: Context, table: Table, name: str) -> None:
    """The lasting name of a new rule: found out now, not when the rule gets it in contract."""
    if any(constraint.name == name for constraint in table.constraints):
        context.refuse(
            f"constraint {name} exists already on {table.name}",
            fix="rename it first, or add the rule with add_constraint, which takes a name",
        )


def refuse_taken_relation(context: Context, table: Table, name: str) -> None:
    """The name of a new index, or of a constraint that has one."""
    refuse_taken_index(context, table.name.schema, name)


def refuse_taken_index(context: Context, schema: str, name: str) -> None:
    """Tables, views and indexes of a schema share names."""
    catalog, qualified = context.catalog, Name(schema, name)
    if qualified in catalog.tables or qualified in catalog.views or qualified in catalog.sequences:
        context.refuse(f"a relation {qualified} exists already", fix="choose another name", at=("name",))
    beside = (each for each in (*catalog.tables.values(), *catalog.views.values()) if each.name.schema == schema)
    if any(index.name == name for other in beside for index in other.indexes):
        fix = "choose another name, or drop_index it first"
        context.refuse(f"an index {name} exists already", fix=fix, at=("name",))


def refuse_generated(context: Context, table: Table, columns: frozenset[str], field: str) -> None:
    """A generated column has no value yet where the sync trigger maps the row."""
    read = sorted(name for name in columns if name in table.by_name and table.by_name[name].generated)
    if read:
        context.refuse(
            f"{field} reads {read[0]}, a generated column of {table.name}",
            why="it is computed after the trigger that keeps both sides in step has run",
            fix="write the expression it is generated from",
        )


def refuse_ruled_domain(context: Context, wanted: str) -> None:
    """PostgreSQL rewrites a table that gets a column of a domain with rules of its own, under the strongest lock."""
    name = wanted.replace('"', "")
    for domain in context.catalog.domains.values():
        if name in (domain.name.name, str(domain.name)) and (domain.constraints or domain.not_null):
            context.refuse(
                f"type {wanted} is a domain with rules",
                why="PostgreSQL rewrites the whole table for such a column while nobody can read it",
                fix=f"use {domain.type} and give the rules as `check` and `nullable`",
            )


def refuse_branched(context: Context, table: Table) -> None:
    """A table whose rows, or whose columns, are another table's too."""
    if table.partition_of is not None:
        context.refuse(
            f"{table.name} is a partition of {table.partition_of}",
            why="columns are changed in the partitioned table, for all of its partitions",
            fix=f"say table: {table.partition_of.name}",
        )
    children = sorted(str(other.name) for other in context.catalog.tables.values() if table.name in other.inherits)
    if children or table.inherits:
        kin = f"{children[0]} inherits from it" if children else f"it inherits from {table.inherits[0]}"
        context.refuse(
            f"{table.name} is part of an inheritance tree: {kin}",
            why="rows of several tables would be walked as those of one",
            fix="end the inheritance first (ALTER TABLE ... NO INHERIT), or change its rows with `sql`",
        )


def refuse_dependents(
    context: Context, table: Table, columns: frozenset[str], *, besides: Collection[Dependent] = ()
) -> tuple[Hazard, ...]:
    """Refuse by name what would keep pointing at a leaving column; function bodies are only evidence.

    besides: those that are seen to.
    """
    for part in context.catalog.tree(table.name):
        _refuse_referenced(context, part, columns)
        _refuse_key(context, part, columns)
    return refuse_readers(context, table, columns, besides=besides)


def refuse_readers(
    context: Context, table: Table, columns: frozenset[str], *, besides: Collection[Dependent] = ()
) -> tuple[Hazard, ...]:
    """The same, but for the primary key and the foreign keys to it."""
    for part in context.catalog.tree(table.name):
        _refuse_used(context, part, columns, besides)
    return function_hazards(table)


def function_hazards(table: Table) -> tuple[Hazard, ...]:
    """Functions whose text names the table, which no change of a column reaches."""
    # What triggers say of the column is asked of each, with what it does to its row.
    fired = {f"{trigger.function}() (text)" for trigger in table.user_triggers}
    texts = [d for d in table.dependents if d.kind == "function body" and d.name not in fired]
    return tuple(
        Hazard("function-body", "warning", f"{d.name} names {table.name}: see that it does not use a leaving column")
        for d in texts
    )


def _refuse_used(context: Context, table: Table, columns: frozenset[str], besides: Collection[Dependent]) -> None:
    """The same of one table or partition: each has dependents and rules of its own."""
    refuse_kept_in_step(context, table, columns)
    apart = ("function body", "foreign key")
    named = [d for d in table.dependents if d.columns & columns and d.kind not in apart and d not in besides]
    blocking = [d for d in named if not _is_let_go(context, table, columns, d)]
    if blocking:
        _refuse_dependent(context, table, columns, blocking)
    for index in table.indexes:
        if index.replica_identity and index.reads & columns:
            context.refuse(
                f"{index.name} is the replica identity of {table.name}",
                why="its columns cannot be hidden or dropped while logical replication tells rows apart by it",
                fix=f"ALTER TABLE {table.name} REPLICA IDENTITY FULL, or another index, first",
            )
    excluding = [found for found in table.constraints if found.kind == "exclude" and columns & set(found.columns)]
    if excluding:
        context.refuse(
            f"{', '.join(sorted(columns & set(excluding[0].columns)))} is in the exclusion constraint"
            f" {excluding[0].name} of {table.name}",
            why="PostgreSQL has no way to make it again over another column while the table is written",
            fix="drop it before this migration and add it again after, with `sql` changes",
        )
    if columns & words(table.partition_key or ""):
        context.refuse(
            f"{table.name} is partitioned by {table.partition_key}", why="a partition key cannot be replaced"
        )


def _is_let_go(context: Context, table: Table, columns: frozenset[str], dependent: Dependent) -> bool:
    """It reads the columns through views alone that the migration gives another query, or is one of these."""
    views = context.catalog.views
    if not context.rewritten:
        return False
    reading = {
        name
        for name, view in views.items()
        if not context.is_rewritten(name) and any((table.name, column) in view.reads for column in columns)
    }
    grown = bool(reading)
    while grown:
        above = {name for name, view in views.items() if any(read in reading for read, _ in view.reads)}
        above = {name for name in above - reading if not context.is_rewritten(name)}
        reading |= above
        grown = bool(above)
    if dependent.of in views and dependent.kind in ("view", "materialized view"):
        return dependent.of not in reading
    return not dependent.named & columns and not reading


# Why it cannot follow a column, and the way out, by the kind of what reads it.
_NO_WAY: dict[str, tuple[str, str]] = {
    "view": (
        "it would keep reading the old column, and hinder its drop",
        "give it another query in this migration (replace_view), over the columns that stay",
    ),
    "materialized view": (
        "to fill it anew in the transaction that replaces the column would keep everybody waiting",
        "drop it before this migration (drop_view) and create it again after it (create_materialized_view)",
    ),
    "generated column": (
        "PostgreSQL rewrites the table for a stored one; a virtual one can follow where there are no checks",
        "drop the generated column before this migration and add it again after it (add_generated_column)",
    ),
    "statistics": (
        "they would go with the old column without a word",
        "drop them before this migration, and create them again over the columns that stay, with `sql` changes",
    ),
}


def _refuse_dependent(context: Context, table: Table, columns: frozenset[str], blocking: list[Dependent]) -> NoReturn:
    why, fix = _NO_WAY.get(
        blocking[0].kind,
        (
            f"the {blocking[0].kind} names the column itself: it would keep reading the old one, and hinder its drop",
            "drop it before and create it again after this migration, with `sql` changes or in your own tool",
        ),
    )
    context.refuse(f"{table.name} ({', '.join(sorted(columns))}) is used by {_named(blocking)}", why=why, fix=fix)


def refuse_kept_in_step(context: Context, table: Table, columns: frozenset[str]) -> None:
    """Another migration's triggers, which stay where its contract ends before `archive`."""
    for trigger in table.triggers:
        if trigger.name.startswith(OWN_PREFIX) and columns & row_use(trigger.body).said:
            context.refuse(
                f"{', '.join(sorted(columns))} of {table.name} is kept in step by {trigger.name}, of another migration",
                why="that trigger names the column, and every write would fail once it is called otherwise",
                fix="complete that migration or roll it back; where its contract ended before `archive`, drop its"
                " triggers with a `sql` change first",
            )


def _refuse_referenced(context: Context, table: Table, columns: frozenset[str]) -> None:
    if keys := [d for d in table.dependents if d.columns & columns and d.kind == "foreign key"]:
        _refuse_dependent(context, table, columns, keys)
    for key in context.catalog.references_to(table.name):
        if columns & set(key.referenced_columns):
            context.refuse(
                f"{table.name} ({', '.join(key.referenced_columns)}) is referenced by {key.name} on {key.child}",
                why="the foreign key would go on pointing at the old column, and hinder its drop",
                fix="drop the foreign key first, and add it again after this migration",
            )


def _refuse_key(context: Context, table: Table, columns: frozenset[str]) -> None:
    # With a column under INCLUDE the whole key would go, too.
    key = {name for index in table.indexes if index.primary for name in index.reads} & columns
    if key:
        context.refuse(
            f"{', '.join(sorted(key))} is in the primary key of {table.name}",
            why="a key is replaced together with everything that references it",
            fix="`widen_key` makes it bigint, `replace_key` puts one of a new column in its place, `rename_column` with"
            " `strategy: versions` gives it another name",
        )


def refuse_lost_with_column(context: Context, table: Table, column: Column) -> None:
    """What belongs to the column itself and would not be on the one that replaces it."""
    for part in context.catalog.tree(table.name):
        if grants := part.by_name[column.name].grants:
            context.refuse(
                f"{part.name}.{column.name} has privileges of its own: {', '.join(grants)}",
                why="the column that replaces it would be without them, and its users refused",
                fix="grant on the table instead and revoke those of the column; or do the reverse after this migration",
            )
    refuse_lost_in_partitions(context, table, column)


def refuse_lost_in_partitions(context: Context, table: Table, column: Column) -> None:
    """What reads the column in a partitioned table, or in one partition alone, and would not come with it or back."""
    for part in context.catalog.tree(table.name) if table.kind == "partitioned" else ():
        built = [f"index {i.name}" for i in part.indexes if column.name in i.reads and not i.primary]
        built += [
            f"foreign key {k.name}" for k in context.catalog.references_from(part.name) if column.name in k.columns
        ]
        if built:
            context.refuse(
                f"{built[0]} of {part.name} reads {column.name}, and {table.name} is partitioned",
                why="PostgreSQL takes neither a concurrent index nor a NOT VALID foreign key on a partitioned table",
                fix="drop it first and create it again on each partition after this migration",
            )
        if own := next(_of_one_partition(table, part, column), None):
            context.refuse(
                f"{part.name} has {own} that {table.name} has not",
                why="columns are replaced and brought back in the partitioned table, for all of its partitions alike",
                fix="give it to the partitioned table, or take it from the partition, before this migration",
            )


def _of_one_partition(table: Table, part: Table, column: Column) -> Iterator[str]:
    checks = {c.name for c in table.constraints}
    for constraint in part.constraints:
        if constraint.kind == "check" and column.name in constraint.columns and constraint.name not in checks:
            yield f"a check {constraint.name} on {column.name}"
    there = part.by_name[column.name]
    if there.not_null and not column.not_null:
        yield f"a NOT NULL on {column.name}"
    if there.default != column.default:
        yield f"a default of {column.name}"


def refuse_misfits(
    context: Context, table: Table, column: Column, wanted: str, sheds: frozenset[str] = frozenset()
) -> None:
    """A rule or index that is carried over to the new type, and makes no sense of it. sheds: checks that are not."""
    row = {**context.row_types(table), column.name: wanted}
    held = frozenset({column.name})
    alone = {f"constraint {each.name}" for each in table.constraints if frozenset(each.columns) == held}
    carried = [
        (f"constraint {constraint.name}", definitions.check_text(constraint))
        for constraint in carry.constraints_reading(table, held)
        if constraint.kind == "check" and constraint.name not in sheds
    ]
    carried += [
        (f"index {index.name}", text)
        for index in carry.indexes_reading(table, held)
        for text in definitions.index_texts(index)
    ]
    for key in context.catalog.references_from(table.name):
        for here, there in zip(key.columns, key.referenced_columns, strict=True):
            if here == column.name and key.parent in context.catalog.tables:
                parent = context.catalog.tables[key.parent].by_name[there]
                quoted = sql.Identifier(here).as_string(None)
                carried.append((f"foreign key {key.name}", f"{quoted} = NULL::{parent.type}"))
    for shown, text in carried:
        try:
            context.probe.expression(Expression(text), table=table.name.name, row=row)
        except Refused as refused:
            context.refuse(
                f"{shown} of {table.name} does not fit {column.name} as {wanted}: {refused.what}",
                why="it is carried over to the column that replaces the old one, as it is",
                fix="say `check: null` under `to` to let the checks of the old column go with it"
                if shown in alone
                else "drop it before this migration and add what shall hold afterwards with one that comes `after`",
            )


def refuse_own_sequence(context: Context, table: Table, column: Column) -> None:
    """A column with a sequence of its own would take the sequence with it."""
    owned = [s for s in context.catalog.sequences.values() if s.owned_by == (table.name, column.name)]
    if column.identity:
        context.refuse(
            f"{table.name}.{column.name} is an identity column, with a sequence of its own",
            why="the identity and its sequence would go with the old column",
            fix=f"make it a plain column first: ALTER TABLE {identifier(table.name).as_string(None)}"
            f" ALTER COLUMN {sql.Identifier(column.name).as_string(None)} DROP IDENTITY, then SET DEFAULT nextval()"
            " of a sequence that begins past the highest value",
        )
    if owned:
        context.refuse(
            f"{table.name}.{column.name} has a sequence of its own",
            why="dropping the old column would drop the sequence",
            fix=f"ALTER SEQUENCE {identifier(owned[0].name).as_string(None)} OWNED BY NONE first: the default goes over"
            " to the new column and goes on using it",
        )
    if column.generated:
        context.refuse(f"{table.name}.{column.name} is a generated column", why="it cannot be written")


def _named(dependents: list[Dependent]) -> str:
    return ", ".join(f"{d.kind} {d.name}" for d in dependents)
