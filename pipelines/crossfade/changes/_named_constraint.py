"""A constraint that a change names: found, refused where it is not the table's own, and what it goes with."""

from __future__ import annotations

from crossfade.catalog.model import Constraint, Table
from crossfade.changes._change import Need
from crossfade.changes._context import Context
from crossfade.spec.errors import nearest


def named_constraint(context: Context, table: Table, name: str, *at: str) -> Constraint:
    """The constraint of that name, which PostgreSQL lets be changed here. at: the key that names it."""
    known = {found.name: found for found in table.constraints}
    if name not in known:
        guess = nearest(name, [*known])
        hint = f"did you mean {guess}? " if guess else ""
        fix = f"{hint}constraints here: {', '.join(known) or 'none'}"
        context.refuse(f"constraint {name} does not exist on {table.name}", fix=fix, at=at)
    found = known[name]
    above = table.partition_of or next(iter(table.inherits), None)
    if found.inherited and above is not None:
        context.refuse(
            f"constraint {name} of {table.name} is inherited from {above}",
            why="PostgreSQL changes it there, for all of its tables",
            fix=f"say table: {above.name}",
            at=at,
        )
    if found.kind == "not_null":
        context.refuse(
            f"constraint {name} says that {', '.join(found.columns)} of {table.name} is NOT NULL",
            why="it belongs to the column",
            fix="use change_column with `nullable`",
            at=at,
        )
    if found.kind == "trigger":
        context.refuse(f"constraint {name} of {table.name} is a constraint trigger", fix="use `sql`", at=at)
    return found


def constraint_needs(table: Table, found: Constraint) -> tuple[Need, ...]:
    """What a constraint of the table goes with: its columns, and those of the parent that it points at."""
    is_key = found.kind in ("primary_key", "unique")
    needs = tuple(Need(table.name, column, follows=False, as_key=is_key) for column in found.columns)
    if found.references is None:
        return needs
    parent = found.references
    return needs + tuple(Need(parent, column, follows=False, as_key=True) for column in found.referenced_columns)
