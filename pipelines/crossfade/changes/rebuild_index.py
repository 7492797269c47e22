"""rebuild_index: an index made anew in its place, beside live traffic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from crossfade.catalog.model import Index, Name, Table
from crossfade.changes._change import Change, Compiled, Hazard, Need
from crossfade.changes._context import Context
from crossfade.changes._named_index import named_index
from crossfade.spec.values import Identifier
from crossfade.steps.rebuild import is_left_of, rebuild
from crossfade.steps.step import VALIDATE

_SYSTEM = ("pg_catalog", "pg_toast", "information_schema")


class RebuildIndex(Change):
    """Rebuild an index concurrently.

    For an index that has grown far beyond its rows, that is invalid, or that another version of a collation sorts
    otherwise: in validate PostgreSQL builds it anew beside itself, lets it take its own place, and drops the old one.
    The name, the constraint it belongs to, its comment and settings stay. A partitioned index is rebuilt partition by
    partition, each a step of its own: a run that was cut off goes on with the next.

    With `when_bloated` each index is looked at just before, and left alone where it would not get much smaller. What it
    should take is reckoned by the statistics of its columns, which cost nothing to ask: no more than an estimate, so
    say 30 or more. An index of which they tell nothing, since its table was never analysed, is rebuilt.

    ## Old and new versions

    Neither notices it.

    ## Undo

    There is nothing to take back: it is the same index. Of a rebuild that was cut off, what it left is dropped.

    ## Locks

    SHARE UPDATE EXCLUSIVE on the table: reads and writes go on. The rebuild waits for transactions that are older
    than it, and that time counts against `locks.budget`.

    ## Hazards

    - `needs-room`: until the old one is dropped there are two of it; the write-ahead log grows by as much.
    - `left-by-a-rebuild`: one that somebody else began and that was cut off has left an invalid index, by the name of
      the index and `_ccnew` or `_ccold`, which every write keeps up for nothing. It is not taken for ours: what a
      rebuild of ours leaves is dropped by the next run, and when the migration is taken back.

    - `on-conflict-race`: while a unique index is rebuilt there are two, and up to PostgreSQL 18 ON CONFLICT settles a
      conflict in one of them only: of two sessions that insert the same new key at the same instant, the second may be
      told of a unique violation of the other one. Tried again it finds the row.

    Refused when planned, since PostgreSQL rebuilds them only while nobody can write: the index of an exclusion
    constraint, of a key `WITHOUT OVERLAPS`, and those of the system's own tables.

    ## Example

    ```yaml
    changes:
      - rebuild_index: {index: orders_customer_id_idx, when_bloated: 40}
    ```
    """

    index: Identifier = Field(description="Its name, in the `schema` of the database, or `schema.index`.")
    when_bloated: Annotated[int, Field(ge=1, le=99)] | None = Field(
        None, description="Only where it is estimated that at least so many percent of a btree are wasted."
    )

    def compile(self, context: Context) -> Compiled:
        """One concurrent rebuild in validate, or one for each partition."""
        if (schema := self.index.partition(".")[0]) in _SYSTEM:
            context.refuse(
                f"{self.index} is an index of the system's own tables",
                why=f"PostgreSQL rebuilds none in {schema} concurrently"
                if schema != "pg_toast"
                else "its name changes when the table it is of is rewritten",
                fix="REINDEX INDEX by hand, when nobody needs the table",
                at=("index",),
            )
        table, found = named_index(context, self.index)
        if context.is_new(table):
            context.refuse(f"{table.name} is made by this migration", why="its indexes are new", at=("index",))
        self._refuse_unable(context, table, found)
        if self.when_bloated is not None and found.method != "btree":
            context.refuse(
                f"index {found.name} is a {found.method} index",
                why="only of a btree can statistics tell how much of it is wasted",
                fix="leave `when_bloated` out",
                at=("when_bloated",),
            )
        rebuilt = [*_with_rows(context, table, found)]
        steps = (rebuild(context.place(part, VALIDATE), index.name, self.when_bloated) for part, index in rebuilt)
        return Compiled(
            steps=tuple(steps),
            needs=tuple(Need(table.name, column, follows=False) for column in sorted(found.reads)),
            hazards=(
                _needs_room(found),
                *_race(table, found),
                *(hazard for each in rebuilt for hazard in _left(*each)),
            ),
        )

    def _refuse_unable(self, context: Context, table: Table, index: Index) -> None:
        owner = next((found for found in table.constraints if found.name == index.constraint), None)
        if owner is not None and (owner.kind == "exclude" or index.method != "btree"):
            what = "an exclusion constraint" if owner.kind == "exclude" else "a key WITHOUT OVERLAPS"
            context.refuse(
                f"index {index.name} belongs to {what}, {owner.name}",
                why="PostgreSQL builds none of that kind concurrently, and to rebuild it otherwise lets nobody write",
                fix="REINDEX INDEX by hand, when the table can do without writes for as long as that takes",
                at=("index",),
            )


def _with_rows(context: Context, table: Table, index: Index) -> Iterator[tuple[Table, Index]]:
    """The index, or its parts that are no partitioned indexes themselves, each with its table."""
    if table.kind != "partitioned":
        yield table, index
    whole = Name(table.name.schema, index.name)
    for part in context.catalog.partitions(table.name):
        for held in part.indexes:
            if held.partition_of == whole:
                yield from _with_rows(context, part, held)


def _needs_room(index: Index) -> Hazard:
    return Hazard(
        "needs-room",
        "note",
        f"index {index.name} takes {index.size / 2**20:,.0f} MB; until the old one is dropped, the new one takes up to"
        " as much beside it",
        "see that there is room on disk, on replicas too",
    )


def _race(table: Table, index: Index) -> Iterator[Hazard]:
    if index.unique:
        yield Hazard(
            "on-conflict-race",
            "note",
            f"while {index.name} is rebuilt, INSERT ... ON CONFLICT into {table.name} may raise a unique violation"
            " where another session inserts the same new key at the same instant",
            "let the application try again on SQLSTATE 23505, as it may have to after 40001",
        )


def _left(table: Table, index: Index) -> Iterator[Hazard]:
    for found in table.indexes:
        if not found.valid and is_left_of(index.name, found.name):
            yield Hazard(
                "left-by-a-rebuild",
                "warning",
                f"index {found.name} of {table.name} is invalid: a rebuild of {index.name} that was cut off, or is"
                " under way, made it; every write keeps it up, and nothing reads it",
                f"when nobody is at it any more, drop_index: {{index: {found.name}}}",
            )
