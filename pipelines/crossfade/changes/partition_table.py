"""partition_table: a plain table becomes a partitioned one of the same name, beside live traffic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field, model_validator

from crossfade.catalog.model import ForeignKey, Name, Table
from crossfade.changes import _as_planned
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._let_go import let_go
from crossfade.changes._partition_by import By, ByHash, ByList, ByRange
from crossfade.changes._partitioned import Partitioned, created
from crossfade.changes._rights import missing_right
from crossfade.changes._taking_over import handed_over, referred_to, taken_over
from crossfade.changes._unpartitionable import (
    reading_views,
    refuse_columns,
    refuse_names,
    refuse_references,
    refuse_table,
    refuse_unique,
)
from crossfade.composing import sql
from crossfade.spec.databases import search_path
from crossfade.spec.fragment import trusted
from crossfade.spec.values import Identifier
from crossfade.steps import rules
from crossfade.steps.altered import followers_as_planned
from crossfade.steps.carry import told_of_constraint
from crossfade.steps.compose import identifier, lock, lock_parents, relation, text
from crossfade.steps.followers import Follower, following_view
from crossfade.steps.rules import Place
from crossfade.steps.step import EXPAND, VALIDATE, AnyStep, Ddl, stage_leg
from crossfade.steps.twin import Twin, course

_CUTOVER, _ARCHIVE, _DROP = stage_leg("cutover"), stage_leg("archive"), stage_leg("drop")


class PartitionTable(Change):
    """Partition a table by range, list or hash.

    A partitioned twin of the table is made, with its partitions, and filled beside live traffic; triggers keep it in
    step. At `cutover` the two swap names in one short transaction: whoever reads and writes the table goes on under the
    same name. Its columns, defaults, identities and sequences, checks, indexes and unique rules, foreign keys of both
    directions, triggers, grants, policies, comments, and the views over it go over to the partitioned table.

    The partitions bear the table's name and where they begin: `events_2024_01`. Make them some way ahead. A later one
    is made by a `sql` change like this, which locks nobody out as long as the default partition is small, or there is
    none: `CREATE TABLE events_2027_01 (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`, then
    `ALTER TABLE events ATTACH PARTITION events_2027_01 FOR VALUES FROM ('2027-01-01') TO ('2027-02-01')`. It gets the
    indexes, foreign keys and triggers of the table by being attached. (`CREATE TABLE ... PARTITION OF` locks the whole
    table instead.) An extension such as pg_partman takes over from here too.

    ## Old and new versions

    Both use the same name all the time, and notice nothing until `cutover`. From then on a statement that says the
    columns of `range`, `list` or `hash` in its WHERE reads the partitions it needs; any other one reads them all.

    ## Undo

    Until `archive` the table of old is kept in step, and turning back is one short transaction. Before it, both are
    compared by a scan that blocks nobody; rows that are in one of them only stop it (of a partition that was attached
    with its rows, detached or dropped since). After `archive` the table of old is brought up to date first. After
    `drop` there is no way back.

    ## Locks

    SHARE ROW EXCLUSIVE on the table for an instant in expand; ACCESS EXCLUSIVE for an instant at `cutover` and
    `archive`, at cutover also on the tables whose foreign keys refer to it and the views over it. SHARE ROW EXCLUSIVE
    for an instant on each table that a foreign key refers to, in expand, and ACCESS EXCLUSIVE when it goes from the
    table of old in `archive`. Children are scanned in validate under locks that let reads and writes go on. Rows are
    copied in batches, and a write of one waits for its batch at most.

    ## Hazards

    - `key-widened`: with `key`, the columns that were the primary key are unique no more by themselves, and ON CONFLICT
      over them fails from cutover on.
    - `partitions-end`: where the last partition ends; rows beyond it go to the default partition, or are refused.
    - `rows-outside`: without a default partition a row that is in none is refused from cutover on. Until then it is in
      conflict, and cutover waits for it.
    - `by-partition`: until `archive`, TRUNCATE of one partition, and partitions that are attached with rows, detached
      or dropped, do not reach the table of old.
    - `rows-move`: from cutover on, an UPDATE of a column it is partitioned by may move the row. Triggers for each row
      then fire as for a DELETE and an INSERT, ON CONFLICT DO UPDATE cannot move one, and a session that waits for the
      row at that instant fails with a serialization error (40001).
    - `room-twice`: both tables are there until `drop`, and each write is done in both until `archive`.
    - `cluster-mark`: no partitioned table is marked for CLUSTER.
    - `whole-row-prepared`: prepared statements that give the row as a whole (`SELECT t FROM t`) fail once.

    Refused when planned: columns of `range`, `list` or `hash` that are not in the primary key, unless `key` says
    another one; unique rules without them; foreign keys to columns that are not unique with them, of the table to
    itself, of partitioned tables, or that are deferrable and act on rows; exclusion and deferrable constraints, and
    what is NOT VALID; rules, extended statistics, materialized views, functions in standard SQL and columns of its row
    type; a key that operators of an extension compare, such as citext; publications that carry it; an unlogged table;
    triggers that assign the columns before a row is written.

    ## Example

    ```yaml
    changes:
      - partition_table:
          table: events
          key: [id, created_at]
          range: {column: created_at, from: 2024-01-01, to: 2027-01-01, every: month}
    ```
    """

    table: Identifier = Field(description="The table, or `schema.table`.")
    range: ByRange | None = Field(None, description="By a column's values from one bound up to the next.")
    list: ByList | None = Field(None, description="By a column's values, listed for each partition.")
    hash: ByHash | None = Field(None, description="Evenly, into a number of partitions.")
    key: tuple[Identifier, ...] = Field(
        (),
        description="The primary key of the partitioned table, where that of the table lacks columns it is partitioned"
        " by: the columns of the key and these.",
    )

    @model_validator(mode="after")
    def _is_by_one(self) -> PartitionTable:
        if sum(by is not None for by in (self.range, self.list, self.hash)) != 1:
            raise ValueError("give exactly one of `range`, `list` and `hash`")
        return self

    @property
    def _by(self) -> tuple[By, str]:
        """With the key that says it."""
        if self.range is not None:
            return self.range, "range"
        if self.list is not None:
            return self.list, "list"
        assert self.hash is not None
        return self.hash, "hash"

    def compile(self, context: Context) -> Compiled:
        """A twin that is partitioned, and its taking the table's place."""
        table = context.table(self.table)
        by, at = self._by
        refuse_table(context, table)
        refuse_columns(context, table, by, at)
        key = self._key(context, table, by)
        own_key = bool(self.key) and set(self.key) != set(table.key)
        refuse_unique(context, table, by)
        incoming = list(context.catalog.references_to(table.name))
        refuse_references(context, table, by, incoming, own_key=own_key)
        refuse_names(context, table, by, at)
        made = Partitioned(context, table, by, self._twin(context, table, key, incoming), own_key)
        views = [following_view(v, 0, rebuilt=False) for v in reading_views(context, table, own_key=own_key)]
        return Compiled(
            steps=tuple(_steps(made, incoming, views)),
            takes=(table.name,),
            drops=(table.name,),
            hazards=(*_hazards(made), *missing_right(context, table.name.schema, "a table")),
        )

    def _key(self, context: Context, table: Table, by: By) -> tuple[str, ...]:
        """Refuses one that does not tell the partition."""
        primary = next((c.columns for c in table.constraints if c.kind == "primary_key"), ())
        if not table.key or (self.key and not primary):
            context.refuse(
                f"{table.name} has no primary key",
                why="nothing would tell which row of the partitioned table is which of the table",
                fix="add one first, with `add_constraint` in a migration that comes before",
                at=("table",),
            )
        key = self.key or table.key
        for name in key:
            column = context.column(table, name, "key")
            with context.at("key" if self.key else "table"):
                context.probe.tells_rows_apart(column.type)
            if not column.not_null:
                context.refuse(
                    f"{table.name}.{name} may be NULL",
                    why="a primary key holds no NULL",
                    fix="make it NOT NULL first, with `change_column` in a migration that comes before",
                    at=("key",),
                )
        if lost := [name for name in table.key if name not in key]:
            context.refuse(
                f"{lost[0]} of the key ({', '.join(table.key)}) is not in `key`",
                why="rows that only it tells apart would be one",
                fix=f"say `key: [{', '.join((*table.key, *(n for n in key if n not in table.key)))}]`",
                at=("key",),
            )
        if missing := [name for name in by.columns if name not in key]:
            context.refuse(
                f"{missing[0]} is not in the primary key of {table.name} ({', '.join(key)})",
                why="PostgreSQL keeps a key within each partition, so it must tell the partition",
                fix=f"say `key: [{', '.join((*key, *missing))}]`, if nothing rests on ({', '.join(key)}) alone being"
                " unique; or partition by a column of the key",
                at=("key",) if self.key else ("table",),
            )
        return key

    def _twin(self, context: Context, table: Table, key: tuple[str, ...], incoming: Sequence[ForeignKey]) -> Twin:
        schema = table.name.schema
        return Twin(
            migration=context.migration,
            database=context.database,
            table=table.name,
            new=Name(schema, context.own("partitioned", str(table.name), table.name.name)),
            old=Name(schema, context.own("plain", str(table.name), table.name.name)),
            key=key,
            key_types=tuple(table.by_name[name].type for name in key),
            columns=tuple(column for column in table.columns if not column.generated),
            referenced=bool(incoming),
            search_path=search_path(context.schema),
        )


def _steps(made: Partitioned, incoming: Sequence[ForeignKey], views: Sequence[Follower]) -> Iterator[AnyStep]:
    twin, table = made.twin, made.table
    outgoing = made.context.catalog.references_from(table.name)
    yield _create(made)
    yield from (_refer(made, key) for key in outgoing)
    yield course.expand(twin)
    yield course.fill(twin)
    yield _analyze(made)
    yield course.parity(twin, VALIDATE)
    for key in incoming:
        yield from referred_to(made, key)
    asked = [_as_planned.of_table(table, incoming), *views]
    locks = lock(twin.relation, "ACCESS SHARE")
    yield followers_as_planned(twin.id("altered"), _CUTOVER, twin.database, asked, locks)
    yield course.parity(twin, _CUTOVER)
    yield taken_over(made, incoming, views)
    yield from handed_over(made)
    old = Place(twin.migration, twin.database, relation(twin.old), twin.key, _ARCHIVE)
    yield from (let_go(old, table, key) for key in outgoing)
    yield course.end(twin)
    yield Ddl(
        id=twin.id("drop"),
        leg=_DROP,
        database=twin.database,
        title=f"drop the table that {table.name} was",
        locks=lock(relation(twin.old), "ACCESS EXCLUSIVE"),
        statements=text(sql.SQL("DROP TABLE {}").format(identifier(twin.old))),
        undo_title="the table of old is gone with its rows",
        irreversible=True,
    )


def _create(made: Partitioned) -> Ddl:
    twin = made.twin
    step_id = twin.id("create")
    return Ddl(
        id=step_id,
        leg=EXPAND,
        database=twin.database,
        title=f"make a partitioned twin of {made.table.name}, with {len(made.partitions)} partitions",
        locks=lock(twin.relation, "ACCESS SHARE"),
        statements=text(*created(made)),
        undo=(
            Ddl(
                id=f"{step_id}/undo",
                leg=EXPAND,
                database=twin.database,
                title="drop the twin with its partitions",
                locks=lock(made.new_relation, "ACCESS EXCLUSIVE"),
                statements=text(sql.SQL("DROP TABLE IF EXISTS {}").format(identifier(made.new))),
            ),
        ),
        undo_title="drop it",
    )


def _refer(made: Partitioned, key: ForeignKey) -> Ddl:
    """A foreign key of the table, of its twin as well, while that is empty."""
    twin = made.twin
    place = Place(twin.migration, twin.database, made.new_relation, twin.key, EXPAND)
    step_id = twin.id("refer", key.name)
    parent = (relation(key.parent),)
    comment = next(c for c in made.table.constraints if c.name == key.name)
    return Ddl(
        id=step_id,
        leg=EXPAND,
        database=twin.database,
        title=f"give the twin the foreign key {key.name} to {key.parent}",
        locks=lock_parents(made.new_relation, parent, "SHARE ROW EXCLUSIVE"),
        statements=text(
            rules.added(place, key.name, trusted(key.definition)),
            *told_of_constraint(place.sql, comment, key.name),
        ),
        undo=(rules.drop_constraint(place, key.name, f"{step_id}/undo", parent),),
        undo_title="drop the constraint",
    )


def _analyze(made: Partitioned) -> Ddl:
    """No autovacuum comes by for a partitioned table, and queries of the first minute would be planned blindly."""
    return Ddl(
        id=made.twin.id("analyze"),
        leg=VALIDATE,
        database=made.twin.database,
        title="tell the planner of the twin's rows",
        locks=lock(made.new_relation, "SHARE UPDATE EXCLUSIVE"),
        statements=text(sql.SQL("ANALYZE {}").format(identifier(made.new))),
        scans=True,
    )


def _hazards(made: Partitioned) -> Iterator[Hazard]:
    table, by = made.table, made.by
    name = table.name
    if made.own_key:
        old, new = ", ".join(table.key), ", ".join(made.twin.key)
        yield Hazard(
            "key-widened",
            "danger",
            f"the key of {name} becomes ({new}): ({old}) alone may come twice, and ON CONFLICT ({old}) fails, from"
            " cutover on",
            f"see that ({old}) is made by the server, and let ON CONFLICT name ({new})",
        )
    if isinstance(by, ByRange):
        yield Hazard(
            "partitions-end",
            "warning",
            f"the last partition of {name} ends before {by.literals[-1]}",
            "make further ones in time: see `crossfade explain partition_table`",
        )
    if not by.default and not isinstance(by, ByHash):
        yield Hazard(
            "rows-outside",
            "warning",
            f"from cutover on a row of {name} that belongs into no partition is refused; until then it is in conflict",
            "let it have a default partition (`default: true`)",
        )
    yield Hazard(
        "by-partition",
        "warning",
        f"until archive, TRUNCATE of one partition of {name}, and partitions attached with rows, detached or dropped,"
        " do not reach the table of old, and turning back is refused",
        "wait with them until archive; DELETE reaches it, and so do rows of a partition attached empty",
    )
    columns = ", ".join(by.columns)
    yield Hazard(
        "rows-move",
        "warning",
        f"from cutover on an UPDATE of {columns} may move a row of {name} to another partition: triggers for each row"
        " fire as for a DELETE and an INSERT, ON CONFLICT DO UPDATE fails, and a session that waits for the row then"
        " fails with SQLSTATE 40001",
        f"leave {columns} as it is once a row is written, or try such statements again",
    )
    yield Hazard(
        "room-twice",
        "note",
        f"{name} is there twice until drop ({table.size:,} bytes and its indexes), and each write is done twice until"
        " archive",
        "see that there is room for it, and for the WAL",
    )
    if marked := [index.name for index in table.indexes if index.clustered]:
        yield Hazard("cluster-mark", "note", f"{name} is marked for CLUSTER by {marked[0]}; its partitions are not")
    yield Hazard(
        "whole-row-prepared",
        "note",
        f"prepared statements that give the row of {name} as a whole (`SELECT t FROM t`) fail after cutover until they"
        " are deallocated",
        "name columns, or renew the sessions then",
    )
