"""drop_index: an index nobody needs any more."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from crossfade.catalog.model import Index, Name, Table
from crossfade.changes._change import Change, Compiled, Need
from crossfade.changes._context import Context
from crossfade.changes._named_index import named_index, refuse_part
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.carry import tell_again, told_of_index
from crossfade.steps.compose import lock, text
from crossfade.steps.definitions import carried_index
from crossfade.steps.indexes import PartIndex, build_parts, drop_index
from crossfade.steps.rules import Place
from crossfade.steps.step import AnyStep, BuildIndex, Ddl, stage_leg
from crossfade.steps.step import DropIndex as DropIndexStep


class DropIndex(Change):
    """Drop an index concurrently.

    It goes in the stage `drop`. A drop that was cut off leaves an invalid index: `crossfade up` finishes it,
    `crossfade rollback` builds the index again; one that the drop did not touch stays as it is.

    ## Old and new versions

    Neither notices it, but by the speed of what used it.

    ## Undo

    Builds the index again, concurrently, with its comment and settings; one of a partitioned table partition by
    partition, its parts under the names they had.

    ## Locks

    SHARE UPDATE EXCLUSIVE on the table: reads and writes go on. The drop waits for transactions that may use the
    index. PostgreSQL drops none of a partitioned table concurrently: that takes ACCESS EXCLUSIVE on the table and its
    partitions, for an instant.

    ## Hazards

    An index that belongs to a constraint or is the replica identity is refused, and so is a part of a partitioned
    index, which goes with the whole only.

    ## Example

    ```yaml
    changes:
      - drop_index: {index: users_email_old}
    ```
    """

    index: Identifier = Field(description="Its name, in the `schema` of the database.")

    def compile(self, context: Context) -> Compiled:
        """One concurrent drop; of a partitioned index one that locks all partitions for an instant."""
        table, found = named_index(context, self.index)
        if found.constraint or found.primary or found.replica_identity:
            context.refuse(
                f"index {found.name} belongs to {'a constraint' if found.constraint else 'the replica identity'}",
                why="the rule it keeps would go with it",
                fix="drop_constraint it instead"
                if found.constraint
                else "give the table another replica identity first",
            )
        refuse_part(context, found, "drops it")
        place = context.place(table, stage_leg("drop"))
        step_id = f"{table.name}/index/{found.name}/drop"
        needs = tuple(Need(table.name, column, follows=False) for column in sorted(found.reads))
        if place.parts is None:
            return Compiled(steps=(_concurrently(place, step_id, table, found),), needs=needs)
        dropped = Ddl(
            id=step_id,
            leg=place.leg,
            database=context.database,
            title=f"drop index {found.name} of {table.name} with its parts",
            locks=lock(place.relation, "ACCESS EXCLUSIVE"),
            statements=text(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(table.name.schema, found.name))),
            undo=tuple(_parts_again(context, place, f"{step_id}/undo", table, found)),
            undo_title="build it again, partition by partition",
        )
        return Compiled(steps=(dropped,), needs=needs)


def _concurrently(place: Place, step_id: str, table: Table, index: Index) -> DropIndexStep:
    again = BuildIndex(
        id=f"{step_id}/undo",
        leg=place.leg,
        database=place.database,
        title=f"build index {index.name} again",
        locks=lock(place.relation, "SHARE UPDATE EXCLUSIVE"),
        relation=place.relation,
        index=index.name,
        unique=index.unique,
        statement=carried_index(index, name=index.name, columns={}),
    )
    told = told_of_index(table, index, index.name)
    tell = tell_again(place, f"{step_id}/undo/tell", f"index {index.name}", told)
    dropped = drop_index(place, index.name, step_id)
    return dropped.model_copy(
        update={
            "title": f"drop index {index.name} of {table.name}",
            "undo": (again, *tell),
            "undo_title": "build it again",
        }
    )


def _parts_again(context: Context, place: Place, step_id: str, table: Table, index: Index) -> Iterator[AnyStep]:
    """Each part under the name and with the words it had."""
    told = [*told_of_index(table, index, index.name)]
    parts: list[PartIndex] = []
    of = {place.relation: index.name}
    for part in place.parts or ():
        partition = context.catalog.tables[Name(part.relation.schema_name, part.relation.name)]
        whole = Name(part.of.schema_name, of[part.of])
        held = next(found for found in partition.indexes if found.partition_of == whole)
        of[part.relation] = held.name
        statement = carried_index(held, name=held.name, columns={}, concurrently=True) if part.leaf else held.definition
        parts.append(PartIndex(part, held.name, of[part.of], statement))
        told += told_of_index(partition, held, held.name)
    yield from build_parts(place, step_id, index.name, index.definition, parts, index.unique)
    yield from tell_again(place, f"{step_id}/tell", f"index {index.name} and its parts", told)
