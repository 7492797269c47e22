"""set_replica_identity: by what logical replication tells the rows of a table apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from crossfade.catalog.model import Index, Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.composing import sql
from crossfade.spec.errors import did_you_mean
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.step import EXPAND, Ddl


class SetReplicaIdentity(Change):
    """Set a table's replica identity.

    What logical replication sends of the old row with every UPDATE and DELETE: its primary key (`default`), the columns
    of a unique index (`index`), all of it (`full`), or nothing. Of a partitioned table it is set on each of its
    partitions, one at a time. In expand, in the catalog alone.

    ## Old and new versions

    Neither notices it; what consumes the changes gets other columns of the old row.

    ## Undo

    Sets the identity that was there when the plan was made.

    ## Locks

    ACCESS EXCLUSIVE on the table, or on one partition after the other, for an instant.

    ## Hazards

    - `more-wal`: with `full` every update writes the whole old row to the WAL.

    Refused: `nothing`, or `default` without a primary key, where a publication carries updates, for PostgreSQL would
    refuse every UPDATE; an index that is not unique over NOT NULL columns, or is partial, deferred or over an
    expression.

    ## Example

    ```yaml
    changes:
      - set_replica_identity: {table: events, index: events_uuid_key}
    ```
    """

    table: Identifier = Field(description="A name in the `schema` of the database, or `schema.table`.")
    identity: Literal["default", "full", "nothing"] | None = Field(None, description="What is sent of the old row.")
    index: Identifier | None = Field(
        None, description="Instead of `identity`: the unique index whose columns are sent."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> SetReplicaIdentity:
        if (self.identity is None) == (self.index is None):
            raise ValueError("give either `identity` or `index`")
        return self

    def compile(self, context: Context) -> Compiled:
        """One statement in expand for each table that holds rows."""
        table = context.table(self.table)
        if self.index is not None:
            self._refuse_unfit(context, table, self.index)
        published = any(publication.updates for publication in table.publications)
        keyless = all(constraint.kind != "primary_key" for constraint in table.constraints)
        if published and (self.identity == "nothing" or (self.identity == "default" and keyless)):
            context.refuse(
                f"{table.name} is in a publication that carries updates",
                why="without an identity PostgreSQL refuses every UPDATE and DELETE of it",
                fix="use `full`, or an `index`",
                at=("identity",),
            )
        more = f"every UPDATE and DELETE of {table.name} writes the whole old row to the WAL"
        fix = "an `index` over few columns does, where there is one"
        return Compiled(
            steps=tuple(self._steps(context, table)),
            hazards=(Hazard("more-wal", "warning", more, fix),) if self.identity == "full" else (),
        )

    def _steps(self, context: Context, table: Table) -> Iterator[Ddl]:
        wanted = trusted((self.identity or "").upper())
        if self.index is not None:
            wanted = sql.SQL("USING INDEX {}").format(sql.Identifier(self.index))
        for part in context.catalog.leaves(table.name):
            yield instant(
                context,
                EXPAND,
                f"{part.name}/replica_identity",
                f"set the replica identity of {part.name} to {self.identity or self.index}",
                [_identified(part, wanted)],
                [_identified(part, _present(part))],
                "set the one it had",
                locks=lock(relation(part.name), "ACCESS EXCLUSIVE"),
            )

    def _refuse_unfit(self, context: Context, table: Table, name: str) -> None:
        if table.kind == "partitioned":
            context.refuse(
                f"{table.name} is partitioned",
                why="each partition has indexes of its own",
                fix="say it of each partition, with the name of its index",
                at=("index",),
            )
        known = {index.name: index for index in table.indexes}
        if name not in known:
            context.refuse(f"{table.name} has no index {name}", fix=did_you_mean(name, known), at=("index",))
        if (unfit := _unfit(table, known[name])) is not None:
            context.refuse(
                f"index {name} {unfit}",
                why="it would not tell rows apart at every moment",
                fix="name a unique index over NOT NULL columns, not partial and not deferrable",
                at=("index",),
            )


def _unfit(table: Table, index: Index) -> str | None:
    if not index.unique or not index.valid:
        return "is not unique" if not index.unique else "is invalid"
    if index.predicate is not None:
        return "is partial"
    if "" in index.columns:
        return "is over an expression"
    if nullable := [column for column in index.columns if not table.by_name[column].not_null]:
        return f"holds {nullable[0]}, which may be NULL"
    if any(c.index == index.name and c.deferrable for c in table.constraints):
        return "is of a deferrable constraint"
    return None


def _identified(table: Table, identity: sql.Composable) -> sql.Composable:
    return sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(identifier(table.name), identity)


def _present(table: Table) -> sql.Composable:
    for index in table.indexes:
        if index.replica_identity and table.replica_identity == "index":
            return sql.SQL("USING INDEX {}").format(sql.Identifier(index.name))
    return trusted(table.replica_identity.upper())
