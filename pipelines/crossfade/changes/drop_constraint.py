"""drop_constraint: a rule that holds no more."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from crossfade.catalog.model import Constraint, Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._named_constraint import constraint_needs, named_constraint
from crossfade.changes._unproved import ask_again
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier
from crossfade.steps import rules
from crossfade.steps.carry import parents_of, tell_again, told_of_constraint, told_of_index
from crossfade.steps.compose import lock, text
from crossfade.steps.definitions import carried_constraint, carried_index, moment_of
from crossfade.steps.indexes import build_one
from crossfade.steps.rules import Place
from crossfade.steps.step import AnyStep, Ddl, stage_leg


class DropConstraint(Change):
    """Drop a constraint.

    It goes in the stage `drop`, the last: until then both versions keep the rule, and a rollback has nothing to prove.

    ## Old and new versions

    Both are bound until the stage `drop`. The new version may rely on being free of the rule when the migration is
    complete.

    ## Undo

    Adds it again. Rows that break it by then are counted first, and hold the rollback up until they are mended. A check
    or a foreign key is added NOT VALID and proved; the index of a key is built concurrently, then made the constraint
    again. An exclusion constraint does not come back: PostgreSQL builds one only while nobody uses the table.

    ## Locks

    ACCESS EXCLUSIVE on the table, and on the parent of a foreign key, for an instant. The undo scans under locks that
    let reads and writes go on.

    ## Hazards

    - `no-way-back`: an exclusion constraint is dropped for good.

    Refused when planned: a key that foreign keys point at, each by name; one that logical replication tells rows apart
    by; a constraint that the table inherits; a key or a foreign key of a partitioned table. A view that groups by a
    primary key and shows other columns makes PostgreSQL refuse the step; nothing is changed then.

    ## Example

    ```yaml
    changes:
      - drop_constraint: {table: orders, name: orders_total_positive}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    name: Identifier = Field(description="The constraint.")

    def compile(self, context: Context) -> Compiled:
        """One short statement, and what proves the rule again."""
        table = context.table(self.table)
        found = named_constraint(context, table, self.name, "name")
        if table.kind == "partitioned" and found.kind != "check":
            context.refuse(
                f"{table.name} is partitioned, and {found.name} is not a check",
                why="its undo would have to bring every partition's own part back",
                fix="drop it with a `sql` change in `phase: contract`, whose `down` you give",
                at=("name",),
            )
        self._refuse_needed(context, table, found)
        place = context.place(table, stage_leg("drop"))
        step_id = place.id("constraint", found.name, "drop")
        comes_back = found.kind != "exclude"
        dropped = rules.drop_constraint(place, found.name, step_id, parents_of((found,))).model_copy(
            update={
                "title": f"drop constraint {found.name} of {table.name}",
                "undo": tuple(_again(context, place, table, found)) if comes_back else (),
                "undo_title": "add it again, and prove it" if comes_back else "PostgreSQL cannot add it beside clients",
                "irreversible": not comes_back,
            }
        )
        needs = constraint_needs(table, found)
        return Compiled(steps=(dropped,), needs=needs, hazards=() if comes_back else (_for_good(table, found),))

    def _refuse_needed(self, context: Context, table: Table, found: Constraint) -> None:
        if found.index is None:
            return
        for key in context.catalog.references_to(table.name):
            if set(key.referenced_columns) == set(found.columns):
                context.refuse(
                    f"foreign key {key.name} of {key.child} points at {', '.join(found.columns)} of {table.name}",
                    why="it rests on the key, and PostgreSQL would drop neither without the other",
                    fix=f"drop_constraint {key.name} in a migration that comes before",
                    at=("name",),
                )
        index = next((index for index in table.indexes if index.name == found.index), None)
        identifies = table.replica_identity == "default" and found.kind == "primary_key"
        published = [publication.name for publication in table.publications if publication.updates]
        if (index is not None and index.replica_identity) or (identifies and published):
            context.refuse(
                f"logical replication tells rows of {table.name} apart by {found.name}",
                why="without it every UPDATE and DELETE of a published table fails",
                fix=f"ALTER TABLE {table.name} REPLICA IDENTITY FULL, or another index, first",
                at=("name",),
            )


def _again(context: Context, place: Place, table: Table, found: Constraint) -> Iterator[AnyStep]:
    subject, shown = f"constraint/{found.name}/undo", f"constraint {found.name}"
    if found.index is None:
        yield from ask_again(context, place, table, found, subject)
        statement = carried_constraint(place.relation, found, name=found.name, columns={})
        parents = parents_of((found,))
        add, proof = rules.constrain(place, found.name, statement, subject=subject, shown=shown, parents=parents)
        yield add.model_copy(update={"undo": ()})
        if found.validated:
            yield proof
        yield from tell_again(place, place.id(subject, "tell"), shown, told_of_constraint(place.sql, found, found.name))
        return
    index = next(index for index in table.indexes if index.name == found.index)
    statement = carried_index(index, name=index.name, columns={})
    build = build_one(place, place.id(subject, "build"), index.name, statement, unique=True)
    yield build.model_copy(update={"undo": ()})
    word = "PRIMARY KEY" if found.kind == "primary_key" else "UNIQUE"
    using = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {n} {} USING INDEX {n}{}").format(
        place.sql, trusted(word), trusted(moment_of(table, found.name)), n=sql.Identifier(index.name)
    )
    yield Ddl(
        id=place.id(subject, "add"),
        leg=place.leg,
        database=place.database,
        title=f"make it {shown} again",
        locks=lock(place.relation, "ACCESS EXCLUSIVE"),
        statements=text(using),
    )
    yield from tell_again(place, place.id(subject, "tell"), shown, told_of_index(table, index, index.name))


def _for_good(table: Table, found: Constraint) -> Hazard:
    return Hazard(
        "no-way-back",
        "danger",
        f"{found.name} of {table.name} is an exclusion constraint: once dropped, a rollback does not bring it back",
        "give the stage `drop` a gate that holds it back until you are sure",
    )
