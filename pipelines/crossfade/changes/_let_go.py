"""A foreign key of a table that is on its way out: dropped by itself, before the table is."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.catalog.model import ForeignKey, Table
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import rules
from crossfade.steps.carry import told_of_constraint
from crossfade.steps.compose import relation, text
from crossfade.steps.rules import Place
from crossfade.steps.step import AnyStep, Ddl


def let_go(place: Place, table: Table, key: ForeignKey) -> Ddl:
    """Dropping the table with its foreign keys would lock all of their parents at once.

    place: the table as it is called then.
    """
    step_id = place.id("foreign_key", key.name)
    gone = rules.drop_constraint(place, key.name, f"{step_id}/drop", (relation(key.parent),))
    return gone.model_copy(
        update={
            "title": f"drop foreign key {key.name} of {place.relation} to {key.parent}",
            "undo": tuple(_bind_again(place, table, key)),
            "undo_title": "add the foreign key again, proved without a blocking scan",
        }
    )


def _bind_again(place: Place, table: Table, key: ForeignKey) -> Iterator[AnyStep]:
    statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID").format(
        place.sql, sql.Identifier(key.name), trusted(key.definition.removesuffix(" NOT VALID"))
    )
    add, validate = rules.constrain(
        place,
        key.name,
        statement.as_string(None),
        subject=f"foreign_key/{key.name}/undo",
        shown=f"foreign key {key.name}",
        parents=(relation(key.parent),),
    )
    constraint = next(found for found in table.constraints if found.name == key.name)
    told = text(*told_of_constraint(place.sql, constraint, key.name))
    yield add.model_copy(update={"statements": (*add.statements, *told)})
    if key.validated:
        yield validate
