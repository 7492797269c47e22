"""What stands in the way of a table that gets another name or goes, refused by name with a way out."""

from __future__ import annotations

from collections.abc import Collection

from crossfade.catalog.dependents import words
from crossfade.catalog.model import OWN_PREFIX, Dependent, Name, Table
from crossfade.changes._change import Hazard
from crossfade.changes._context import Context
from crossfade.steps.compose import identifier


def refuse_part(context: Context, table: Table, verb: str) -> None:
    """A table that is of another: a partition, a parent or child by inheritance, or an extension's. verb: `renamed`."""
    if table.partition_of is not None:
        context.refuse(
            f"{table.name} is a partition of {table.partition_of}",
            why=f"it is {verb} under a lock on the partitioned table, which stops all of its partitions",
            fix=f"detach it first: ALTER TABLE {table.partition_of} DETACH PARTITION {table.name} CONCURRENTLY, in a"
            " `sql` change with `transaction: false`",
        )
    children = sorted(str(other.name) for other in context.catalog.tables.values() if table.name in other.inherits)
    if children or table.inherits:
        kin = f"{children[0]} inherits from it" if children else f"it inherits from {table.inherits[0]}"
        context.refuse(
            f"{table.name} is part of an inheritance tree: {kin}",
            why="a statement on the parent reads the rows of all of them",
            fix="end the inheritance first (ALTER TABLE ... NO INHERIT)",
        )
    if table.extension is not None:
        context.refuse(f"{table.name} belongs to the extension {table.extension}", fix="leave it to the extension")


def refuse_held(context: Context, table: Table) -> None:
    """Another migration is under way on the table: its columns and triggers are there, and it knows the name."""
    names = [column.name for column in table.columns] + [trigger.name for trigger in table.triggers]
    if own := next((name for name in names if name.startswith(OWN_PREFIX)), None):
        context.refuse(
            f"{table.name} has {own}, of another migration",
            why="that migration knows the table by the name it has now",
            fix="complete that migration or roll it back first",
        )


def refuse_lent_sequence(context: Context, table: Table) -> None:
    """A sequence that goes with the table, and that another one takes numbers from."""
    for sequence in context.catalog.sequences.values():
        others = [use for use in sequence.uses if use.path[:2] != (table.name.schema, table.name.name)]
        if sequence.owned_by is not None and sequence.owned_by[0] == table.name and others:
            context.refuse(
                f"sequence {sequence.name} goes with {table.name}, and {others[0]} uses it",
                why="the sequence would hinder the drop",
                fix=f"ALTER SEQUENCE {identifier(sequence.name).as_string(None)} OWNED BY NONE first",
            )


def uses(context: Context, table: Table, kinds: Collection[str]) -> list[Dependent]:
    """What depends on the table or a partition of it, and is not a part of it: of these kinds."""
    tree = [part.name for part in context.catalog.tree(table.name)]
    own = {f" on {name}" for name in tree}
    return [
        dependent
        for name in tree
        for dependent in context.catalog.tables[name].dependents
        if dependent.kind in kinds and not any(dependent.name.endswith(each) for each in own)
    ]


def named_in_functions(context: Context, table: Table, fails: str) -> tuple[Hazard, ...]:
    """Functions whose text has the table's name. fails: what becomes of them, should they mean the table."""
    return tuple(
        Hazard(
            "function-body", "warning", f"{dependent.name} names {table.name}: {fails}", "replace the function first"
        )
        for dependent in table.dependents
        if dependent.kind == "function body" and _names(context, dependent, table.name)
    )


def _names(context: Context, dependent: Dependent, table: Name) -> bool:
    function = context.catalog.functions.get(dependent.name.removesuffix(" (text)"))
    return function is None or table.name in words(function.body)
