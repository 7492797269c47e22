"""The twin of a table that is to be partitioned, made whole while it is empty: what it has, and under which names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import postgast

from crossfade.catalog.model import Column, Constraint, Index, Name, Sequence, Table, Trigger
from crossfade.changes._context import Context
from crossfade.changes._partition_by import By, Partition, partitioned_by
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import again, carry, definitions
from crossfade.steps.compose import identifier, names, relation
from crossfade.steps.numbering import of_others, options
from crossfade.steps.privileges import grants, privileges_again
from crossfade.steps.step import Relation
from crossfade.steps.tuning import Tuning
from crossfade.steps.twin import Twin


@dataclass(frozen=True)
class Partitioned:
    """A table, how it is partitioned, and its twin.

    own_key: another primary key than the table's.
    """

    context: Context
    table: Table
    by: By
    twin: Twin
    own_key: bool

    @property
    def new(self) -> Name:
        return self.twin.new

    @property
    def new_relation(self) -> Relation:
        return relation(self.new)

    @property
    def partitions(self) -> tuple[Partition, ...]:
        return tuple(self.by.made(self.table.name.name))

    @property
    def indexes(self) -> tuple[Index, ...]:
        return tuple(index for index in self.table.indexes if index.valid)

    @property
    def identities(self) -> tuple[tuple[Column, Sequence], ...]:
        """Identity columns with their sequences, of which the twin has its own."""
        return tuple((column, each) for column in self.table.columns if column.identity for each in self._of(column))

    @property
    def sequences(self) -> tuple[tuple[Column, Sequence], ...]:
        """Columns with sequences of their own by OWNED BY, which both tables draw from."""
        return tuple((c, each) for c in self.table.columns if not c.identity for each in self._of(c))

    def _of(self, column: Column) -> Iterator[Sequence]:
        for sequence in self.context.catalog.sequences.values():
            if sequence.owned_by == (self.table.name, column.name):
                yield sequence

    def coming(self, name: str) -> str:
        """What is to bear the name of an index or sequence, until then."""
        return self.twin.own("new", name)

    def leaving(self, name: str) -> str:
        """What bore the name of an index or sequence, from then on."""
        return self.twin.own("old", name)

    def key_of_another(self, key: str, child: Name) -> str:
        """A foreign key to the twin, until it takes over the name."""
        return self.twin.own("new", str(child), key)


def created(made: Partitioned) -> Iterator[sql.Composable]:
    """Statements that make the twin and its partitions, empty; triggers of users asleep, policies not yet."""
    table, new = made.table, identifier(made.new)
    space = sql.SQL(" TABLESPACE {}").format(sql.Identifier(table.tablespace)) if table.tablespace else sql.SQL("")
    yield sql.SQL(
        "CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE"
        " INCLUDING COMPRESSION INCLUDING COMMENTS) {}{}"
    ).format(new, identifier(table.name), partitioned_by(made.by), space)
    for column, sequence in made.identities:
        yield from _numbered(made, column, sequence)
    for index in made.indexes:
        yield from _index(made, index)
    for partition in made.partitions:
        yield _partition(made, partition)
    for column in table.columns:
        tuning = replace(Tuning.of(column), storage=None, compression=None)  # those were copied
        for clause in tuning.clauses(column.name):
            yield sql.SQL("ALTER TABLE {} {}").format(new, clause)
    for trigger in table.user_triggers:
        yield from _asleep(made, trigger)
    yield from again.comment(sql.SQL("TABLE"), new, table.comment)
    yield from _owned(made)


def _numbered(made: Partitioned, column: Column, sequence: Sequence) -> Iterator[sql.Composable]:
    name = sql.Identifier(sequence.name.schema, made.coming(sequence.name.name))
    yield sql.SQL("ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {} AS IDENTITY (SEQUENCE NAME {} {})").format(
        identifier(made.new),
        sql.Identifier(column.name),
        sql.SQL("ALWAYS" if column.identity == "always" else "BY DEFAULT"),
        name,
        options(sequence, sequence.type),
    )
    yield from grants(sql.SQL("SEQUENCE {}").format(name), of_others(sequence))
    yield from again.comment(sql.SQL("SEQUENCE"), name, sequence.comment)


def _index(made: Partitioned, index: Index) -> Iterator[sql.Composable]:
    table, name = made.table, made.coming(index.name)
    if index.constraint is None:
        yield trusted(
            definitions.carried_index(index, name=name, columns={}, table=made.new_relation, concurrently=False)
        )
    else:
        constraint = next(each for each in table.constraints if each.name == index.constraint)
        yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            identifier(made.new), sql.Identifier(name), _key(made, constraint)
        )
    # No partitioned table is clustered.
    yield from carry.told_of_index(replace(table, name=made.new), replace(index, clustered=False), name)


def _key(made: Partitioned, constraint: Constraint) -> sql.Composable:
    if constraint.kind == "primary_key" and made.own_key:
        return sql.SQL("PRIMARY KEY ({})").format(names(made.twin.key))
    return trusted(constraint.definition)


def _partition(made: Partitioned, partition: Partition) -> sql.Composable:
    table = made.table
    parts: list[sql.Composable] = [
        sql.SQL("CREATE TABLE {} PARTITION OF {}").format(
            sql.Identifier(table.name.schema, partition.name), identifier(made.new)
        ),
        partition.clause,
    ]
    if table.access_method is not None:
        parts.append(sql.SQL("USING {}").format(sql.Identifier(table.access_method)))
    if table.storage_parameters:
        parts.append(sql.SQL("WITH ({})").format(sql.SQL(", ").join(map(again.option, table.storage_parameters))))
    return sql.SQL(" ").join(parts)


def _asleep(made: Partitioned, trigger: Trigger) -> Iterator[sql.Composable]:
    tree = postgast.parse(trigger.definition)
    on = tree.stmts[0].stmt.create_trig_stmt.relation
    on.schemaname, on.relname = made.new.schema, made.new.name
    yield trusted(postgast.deparse(tree))
    yield sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(identifier(made.new), sql.Identifier(trigger.name))
    named = sql.SQL("{} ON {}").format(sql.Identifier(trigger.name), identifier(made.new))
    yield from again.comment(sql.SQL("TRIGGER"), named, trigger.comment)


def _owned(made: Partitioned) -> Iterator[sql.Composable]:
    """Who may use the table may use its partitions through it, and only through it: policies are the table's."""
    table, owner = made.table, sql.Identifier(made.table.owner)
    identity = {"full": "FULL", "nothing": "NOTHING"}.get(table.replica_identity)
    own = [item for item in table.grants if item.startswith((f"{table.owner}=", f'"{table.owner}"='))]
    parts = [Name(table.name.schema, partition.name) for partition in made.partitions]
    for name in (made.new, *parts):
        if identity is not None:
            yield sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(identifier(name), trusted(identity))
        if table.owner != made.context.catalog.role.name:
            yield sql.SQL("ALTER TABLE {} OWNER TO {}").format(identifier(name), owner)
        yield from privileges_again("TABLE", identifier(name), table.grants if name == made.new else own)
    for column in table.columns:
        yield from grants(sql.SQL("TABLE {}").format(identifier(made.new)), column.grants, column.name)
