"""drop_index: an index nobody needs any more."""

from __future__ import annotations

from pydantic import Field

from crossfade.changes._change import Change, Compiled
from crossfade.changes._context import Context, relation
from crossfade.spec.values import Identifier
from crossfade.steps import step
from crossfade.steps.carry import carried_index, tell_again, told_of_index
from crossfade.steps.compose import lock
from crossfade.steps.step import BuildIndex, stage_leg


class DropIndex(Change):
    """Drop an index concurrently.

    It goes in the stage `drop`. A drop that was cut off leaves an invalid index: `crossfade up` finishes it,
    `crossfade rollback` builds the index again; one that the drop did not touch stays as it is.

    ## Old and new versions

    Neither notices it, but by the speed of what used it.

    ## Undo

    Builds the index again, concurrently, with its comment and settings.

    ## Locks

    SHARE UPDATE EXCLUSIVE on the table: reads and writes go on. The drop waits for transactions that may use the
    index.

    ## Hazards

    An index that belongs to a constraint or is the replica identity is refused, and one of a partitioned table, or
    a part of one, which PostgreSQL does not drop concurrently: drop it with a [sql](sql.md) change.

    ## Example

    ```yaml
    changes:
      - drop_index: {index: users_email_old}
    ```
    """

    index: Identifier = Field(description="Its name, in the `schema` of the database.")

    def compile(self, context: Context) -> Compiled:
        """One concurrent drop."""
        for table in context.catalog.tables.values():
            found = next((i for i in table.indexes if i.name == self.index), None)
            if found is not None and table.name.schema == context.schema:
                break
        else:
            context.refuse(
                f"index {self.index} does not exist in schema {context.schema} of {context.database}", at=("index",)
            )
        if found.constraint or found.primary or found.replica_identity:
            context.refuse(
                f"index {self.index} belongs to {'a constraint' if found.constraint else 'the replica identity'}",
                why="the rule it keeps would go with it",
                fix="drop the constraint instead",
            )
        if table.kind == "partitioned":
            context.refuse(
                f"{table.name} is partitioned",
                why="PostgreSQL drops no index of a partitioned table concurrently",
                fix="drop it with a `sql` change in `phase: contract`; that locks every partition for an instant",
            )
        if found.partition_of is not None:
            context.refuse(
                f"index {self.index} is a part of the partitioned index {found.partition_of}",
                why="PostgreSQL drops it with that one only",
                fix=f"drop {found.partition_of.name} instead, with a `sql` change in `phase: contract`",
            )
        leg = stage_leg("drop")
        step_id = f"{table.name}/index/{self.index}/drop"
        again = BuildIndex(
            id=f"{step_id}/undo",
            leg=leg,
            database=context.database,
            title=f"build index {self.index} again",
            locks=lock(relation(table.name), "SHARE UPDATE EXCLUSIVE"),
            relation=relation(table.name),
            index=self.index,
            unique=found.unique,
            statement=carried_index(found, name=self.index, columns={}),
        )
        told = told_of_index(table, found, self.index)
        tell = tell_again(context.place(table, leg), f"{step_id}/undo/tell", f"index {self.index}", told)
        dropped = step.DropIndex(
            id=step_id,
            leg=leg,
            database=context.database,
            title=f"drop index {self.index} of {table.name}",
            locks=lock(relation(table.name), "SHARE UPDATE EXCLUSIVE"),
            relation=relation(table.name),
            index=self.index,
            undo=(again, *tell),
            undo_title="build it again",
        )
        return Compiled(steps=(dropped,))
