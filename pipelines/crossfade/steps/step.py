"""The kinds of step. The engine has one function for each; every kind of change is made of these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from crossfade.spec.model import PHASES, STAGES, Phase, Stage

LockMode = Literal[
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]


class Data(BaseModel):
    """Plan data: frozen, compared by value, stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Leg(Data):
    """What is started, gated and finished as one: one of the first three phases, or one stage of contract."""

    phase: Phase
    stage: Stage | None = None

    def __hash__(self) -> int:
        return hash((self.phase, self.stage))

    def __str__(self) -> str:
        return self.stage or self.phase

    @property
    def order(self) -> tuple[int, int]:
        return PHASES.index(self.phase), STAGES.index(self.stage) if self.stage else -1


EXPAND, BACKFILL, VALIDATE = Leg(phase="expand"), Leg(phase="backfill"), Leg(phase="validate")


def stage_leg(stage: Stage) -> Leg:
    return Leg(phase="contract", stage=stage)


class Relation(Data):
    """A table by its schema and name, as data."""

    schema_name: str
    name: str

    def __hash__(self) -> int:
        return hash((self.schema_name, self.name))

    def __str__(self) -> str:
        return f"{self.schema_name}.{self.name}"


class Lock(Data):
    """A lock a step takes on something that existed before it, and what waits behind it.

    of_leaving_key: on the parent of a foreign key that goes: no statement names it, and nobody need have a right on it.
    alone: on a partitioned table itself, not on its partitions.
    last: clients who hold another of the step's locks want this one, by a trigger, and none the other way round.
    """

    relation: Relation
    mode: LockMode
    of_leaving_key: bool = False
    alone: bool = False
    last: bool = False

    @property
    def blocks(self) -> str:
        """Whom it makes wait, in words."""
        if self.mode == "ACCESS EXCLUSIVE":
            return "reads and writes"
        return "writes" if self.blocks_clients else "nobody but other DDL"

    @property
    def blocks_clients(self) -> bool:
        """Reads or writes of applications wait behind it."""
        return self.mode in ("SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE")


class Guard(Data):
    """A question asked inside a step's transaction, under its locks: no scan, answered by the catalog.

    query: gives one boolean; false or NULL refuses the step and rolls it back.
    why, fix: for the refusal, where going on is not simply to run again.
    """

    query: str
    refusal: str
    why: str = "going on could lose what was written meanwhile"
    fix: str | None = None


class StepBase(Data):
    """What every step tells.

    id: stable over re-plans of the same spec, unique in its plan.
    title: what it does, for people.
    locks: the strongest lock per relation that existed before.
    undo: the steps that take it back, in order, run by the same engine; empty when there is nothing to take back.
    undo_title: the same in words, for people.
    irreversible: it has an effect, and nothing can take it back.
    for_going_on: one of an undo that is done only where the migration stays in the leg before, to go on from there:
        it makes again what that leg had made, at a cost that is in vain where that leg is taken back too.
    """

    id: str
    leg: Leg
    database: str
    title: str
    locks: tuple[Lock, ...] = ()
    undo: tuple[AnyStep, ...] = ()
    undo_title: str = "nothing to take back"
    irreversible: bool = False
    for_going_on: bool = False


class Script(Data):
    """That statements are an author's own, of which nobody knows how long they take.

    unknown_locks: what in them may lock more than the step says.
    """

    unknown_locks: tuple[str, ...] = ()


class Ddl(StepBase):
    """Statements in one transaction with their ledger row: all or nothing.

    scans: a statement reads the whole table under a weak lock (VALIDATE), so it may take long.
    works_locked: what it does under its lock grows with the table, and the spec accepts that others wait so long.
    witnessed_by: ids of the Checks in the same leg whose witnesses must not have changed since they held.
    """

    kind: Literal["ddl"] = "ddl"
    statements: tuple[str, ...]
    guards: tuple[Guard, ...] = ()
    scans: bool = False
    works_locked: bool = False
    witnessed_by: tuple[str, ...] = ()
    script: Script | None = None


class Autocommit(StepBase):
    """Statements that PostgreSQL refuses inside a transaction, each on its own.

    done: gives true when the step's effect is there; asked first on every run, so that a step that was cut off
    converges. None: the author vouches that running it again does no harm.
    """

    kind: Literal["autocommit"] = "autocommit"
    statements: tuple[str, ...]
    done: str | None
    script: Script | None = None


class BuildIndex(StepBase):
    """CREATE INDEX CONCURRENTLY. An invalid leftover of ours under the name is dropped first."""

    kind: Literal["build_index"] = "build_index"
    relation: Relation
    index: str
    statement: str
    unique: bool = False


class DropIndex(StepBase):
    """DROP INDEX CONCURRENTLY."""

    kind: Literal["drop_index"] = "drop_index"
    relation: Relation
    index: str


class RebuildIndex(StepBase):
    """REINDEX INDEX CONCURRENTLY. What one of ours that was cut off has left is dropped first.

    needed: gives one boolean, asked just before; false leaves the index as it is. None: it is rebuilt.
    """

    kind: Literal["rebuild_index"] = "rebuild_index"
    relation: Relation
    index: str
    needed: str | None = None


class Function(Data):
    """A function in Python that makes values of a batch's rows.

    path: of its file, from the project's root. digest: of that file, without which it is not run.
    rows: a statement with $1 and $2, as a batch's: locks the rows, gives the ctid of each and then what is handed over.
    types: of the columns that it gives values for, by name.
    """

    path: str
    name: str
    digest: str
    rows: str
    types: dict[str, str]


class Again(Data):
    """Rows in conflict that are tried again a few at a time: who writes one of them does not wait for all.

    find: gives a text for each, and locks none. each: tries those of $1::text[], in a transaction of its own.
    """

    find: str
    each: str


class Walk(StepBase):
    """Batches over a relation, by ranges of physical blocks fixed when the step starts.

    batch: one statement with $1 and $2, a half-open tid range; its row count is the rows it did. It skips rows that
        others hold, for which it locks each row before it writes it.
    first: run before `batch` with the same range, in its transaction, one after the other. What locks rows there lets
        those behind it see all that was committed before the lock, in other tables too (`ours`).
    in_order: a row may be written when another one is, mostly one that stands before it: one worker goes through the
        relation, and a batch is repeated in its transaction until it writes none.
    function: its values stand in `batch` as a table in parentheses of ctids and columns, in the order of its `types`.
    waiting: does the same rows at nearly half the cost, since it waits for those that others hold; the engine gives
        it milliseconds for that, and falls back on `batch`.
    pending: gives how many rows of the relation the walk still has to do (a scan); NULL-free.
    due: gives a text for each such row, by which it is known wherever it moves. With it the walk ends when the rows are
        done that were due at its end; without, when none is pending, so that nothing may bring new ones without end.
    pending_rows: ctids of such rows in a range ($1, $2), one row each; for the sweep after the walk.
    careful: used instead of `batch` where that fails on a row's data: it records conflicts itself.
    retry: takes open conflicts back into `pending`; run first when the walk is run again.
    conflict: records the one row in the range $1, $2 as a conflict with SQLSTATE $3 and takes it out of `pending`.
    settle: where conflicts are open, run before the leg's steps, and again before too many refuse it; as of a Check.
    again: rows may have come to be due when its leg is run again, so that it is too.
    silent: user triggers must not fire for the rows written.
    writes: columns of the relation that it writes; the planner's statistics of these are renewed at its end.
    unknown: gives how many rows it could know nothing of (a scan); told when it is done.
    """

    kind: Literal["walk"] = "walk"
    relation: Relation
    batch: str
    pending: str
    pending_rows: str
    due: str | None = None
    first: tuple[str, ...] = ()
    in_order: bool = False
    function: Function | None = None
    waiting: str | None = None
    careful: str | None = None
    conflict: str | None = None
    retry: str | None = None
    settle: tuple[str | Again, ...] = ()
    again: bool = False
    silent: bool = False
    writes: tuple[str, ...] = ()
    unknown: str | None = None


class Brownout(StepBase):
    """Hides columns, or a relation, for a while, so that whoever still uses them fails and is counted; then gives them
    back.

    hide, restore: statements, each list in one transaction under `locks`; between them nothing is locked.
    restore_locks: instead of `locks`, where the relation has another name then.
    hidden: gives one boolean, whether they are hidden now. columns: their names, as applications know them; (): the
    relation itself is hidden.
    guards: of hiding. seconds: for which they stay hidden.
    """

    kind: Literal["brownout"] = "brownout"
    relation: Relation
    columns: tuple[str, ...]
    hide: tuple[str, ...]
    restore: tuple[str, ...]
    restore_locks: tuple[Lock, ...] | None = None
    hidden: str
    guards: tuple[Guard, ...] = ()
    seconds: float

    @property
    def sought(self) -> tuple[str, ...]:
        """The names that applications look for in vain."""
        return self.columns or (self.relation.name,)

    @property
    def subject(self) -> str:
        return f"{', '.join(self.columns)} of {self.relation}" if self.columns else str(self.relation)


class Check(StepBase):
    """A query over the rows that must find nothing.

    query: one row of counts; every column must be 0. Its column names are the words of the refusal.
    find: a query for a person that lists the keys of such rows; shown, never run, so that no value leaves the database.
    witness: gives one text of catalog facts that a later step of the leg (`witnessed_by`) wants unchanged.
    settle: where conflicts are open, run first: tries their rows again, and counts those no more that are mended or
        gone. Each in a transaction of its own.
    silent: user triggers must not fire for the rows that `settle` writes.
    for_next: the step behind it changes what is asked of, so that it is not asked again once that one is done; in
        contract it is so of every one.
    """

    kind: Literal["check"] = "check"
    query: str
    find: str | None = None
    witness: str | None = None
    settle: tuple[str | Again, ...] = ()
    silent: bool = False
    for_next: bool = False
    fix: str


class Copying(Data):
    """Rows of a table that are carried to a table of another database, where nobody else writes.

    id: under which the ledger of the target keeps how far its chunks are. source: the database of `relation`.
    captured: the table there that tells which keys were written since the copying began. columns, key: of the target.
    chunk: a query for the rows between {first} and {last} of {leaf}. changed, current: queries for the keys that
        `captured` tells up to {upto}, and for the rows that bear them now.
    read, held: what of `relation` is to be in the target, and what is, as a number of rows and a checksum.
    sequences: those whose numbers the target goes on with; each as SQL, with the target's column.
    """

    id: str
    source: str
    relation: Relation
    captured: Relation
    target: Relation
    columns: tuple[str, ...]
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    chunk: str
    changed: str
    current: str
    read: str
    held: str
    sequences: tuple[tuple[str, str], ...] = ()


class Copy(StepBase):
    """Chunks that are not copied yet, and then what was written meanwhile, until one moment of the source is reached.

    prove: compare all rows with the source as of that moment.
    """

    kind: Literal["copy"] = "copy"
    of: Copying
    prove: bool = False


class ReplicatedTable(Data):
    """A table of the same name in both databases. columns: that are sent. only: the publisher's has others, too."""

    relation: Relation
    columns: tuple[str, ...]
    only: bool = False


class Replication(Data):
    """Rows that PostgreSQL's logical replication sends from one database to another.

    name: of its publication, slot and subscription. reached: where the address is kept at which servers and the pooler
    reach the publisher, such as `env:NAME`; None: it is ours.
    shape: of each schema that it is about, the tables and columns that the publisher had when it was planned, as text.
    """

    name: str
    publisher: str
    subscriber: str
    tables: tuple[ReplicatedTable, ...]
    reached: str | None
    shape: tuple[str, ...]


class Replicate(StepBase):
    """Starts a replication, and waits until all rows are copied. The subscriber's tables must be empty."""

    kind: Literal["replicate"] = "replicate"
    of: Replication


class EndReplication(StepBase):
    """Ends a replication at both ends, whatever is left of it."""

    kind: Literal["end_replication"] = "end_replication"
    of: Replication


class Compare(StepBase):
    """Proves that the tables of a replication have the same rows at both ends, while both go on."""

    kind: Literal["compare"] = "compare"
    of: Replication


class Pooler(Data):
    """PgBouncer, by whose entry clients find their database.

    admin: where the address of its console is kept. entry: the database's name there. file: that the entry is in.
    """

    admin: str
    entry: str
    file: str


class Switch(StepBase):
    """Has all clients go on in another database, in which they find what they wrote in the one before.

    away: the replication that leads there. back: the one that takes its place, from then on.
    sequences: whose numbers go on there. beside: applications that may stay connected past the pooler.
    """

    kind: Literal["switch"] = "switch"
    away: Replication
    back: Replication
    pooler: Pooler
    sequences: tuple[Relation, ...] = ()
    beside: tuple[str, ...] = ()


AnyStep = Annotated[
    Ddl
    | Autocommit
    | BuildIndex
    | DropIndex
    | RebuildIndex
    | Walk
    | Copy
    | Replicate
    | EndReplication
    | Compare
    | Switch
    | Brownout
    | Check,
    Field(discriminator="kind"),
]

for _step in (
    *(Ddl, Autocommit, BuildIndex, DropIndex, RebuildIndex, Walk, Copy),
    *(Replicate, EndReplication, Compare, Switch, Brownout, Check),
):
    _step.model_rebuild()
