"""switch_database: all rows of a database to another one, and all clients after them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from crossfade.catalog.model import Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._replicated import (
    Staying,
    carried_sequences,
    paired_tables,
    refuse_unable,
    replicated_shape,
    stored_columns,
)
from crossfade.composing import sql
from crossfade.spec.databases import checked_reference
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.compose import relation, table, text
from crossfade.steps.step import (
    BACKFILL,
    VALIDATE,
    Compare,
    Ddl,
    EndReplication,
    Pooler,
    Replicate,
    ReplicatedTable,
    Replication,
    Switch,
    stage_leg,
)

_LARGE_OBJECTS = "large_objects"

Reference = Annotated[str, AfterValidator(checked_reference)]


class PoolerEntry(SpecModel):
    """PgBouncer, by which clients reach the database."""

    admin: Reference = Field(
        description="Where the address of its console is kept: an environment variable or a file.",
        examples=["env:PGBOUNCER_ADMIN_URL"],
    )
    database: str = Field(description="The database's name there, under `[databases]`.")
    file: str = Field(description="The file with that line, which PgBouncer reads or includes, as it is named here.")


class SwitchDatabase(Change):
    """Carry all rows of a database (blue) to another one (green), and switch all clients over.

    For what cannot be done in place.
    Make green first: an empty database with blue's schema (`pg_dump --schema-only`), and then whatever is to be
    different there, by migrations of its own, which cost nothing on empty tables. This change then sends all rows over
    by PostgreSQL's logical replication, in backfill, and keeps green in step. Validate compares all tables. The stage
    `cutover` has PgBouncer hold back its clients' next transactions, waits for the last rows, carries the numbers of
    sequences over, points the entry at green and lets the clients go on: they wait for less than two seconds, or all is
    as it was and it is tried again. From then on green is replicated to blue, so that switching back loses nothing.
    The stage `archive` ends that.

    Columns are matched by name. A table, column or sequence of blue that green does not have is refused by name, unless
    `without` says that it stays behind; so are tables without a primary key, unlogged and foreign ones, and triggers
    that fire for replicated rows. Large objects are refused. DDL is not replicated: what anybody changes in blue or
    green meanwhile stops the migration before the switch, by name.

    The database keeps its name in databases.yaml; migrations to come name green. Views, functions and grants are as you
    made them there. Materialized views are for you to refresh there before the cutover.

    ## Old and new versions

    Both work in blue until cutover, in green after it. What must not go through the pooler and does not write, such as
    monitoring, is named under `beside`; any other session in blue refuses the cutover.

    ## Undo

    After cutover: switches back in the same way. Before: ends the replication and empties green's tables. After
    `archive` it cannot be undone: blue stands still as it was then.

    ## Locks

    SHARE UPDATE EXCLUSIVE on each table for an instant. While rows are copied, each table is read in one transaction,
    which holds back vacuum.

    ## Hazards

    - `holds-clients`: all transactions of clients wait during the cutover, for less than two seconds.
    - `keeps-wal`: while green is away or slow, blue's server keeps its log for it (see max_slot_wal_keep_size).
    - `address-in-catalog`: the address of one server, with its password, is kept in the other's pg_subscription.
    - `not-replicated`: what stays behind, or is for you to do.

    ## Example

    ```yaml
    changes:
      - switch_database:
          to: flights_green
          pooler: {admin: env:PGBOUNCER_ADMIN_URL, database: flights, file: /etc/pgbouncer/databases.ini}
    ```
    """

    to: str = Field(description="The other database, of databases.yaml: with its tables, and without rows.")
    pooler: PoolerEntry = Field(description="The pooler that all clients come through.")
    reached: dict[str, Reference] = Field(
        default_factory=dict[str, str],
        description="Where addresses are kept at which servers and the pooler reach a database: `{flights: env:NAME}`."
        " Left out: the ones in databases.yaml.",
    )
    without: tuple[str, ...] = Field(
        (),
        description="What stays behind: tables, columns as `table.column`, sequences; each maybe with its schema."
        " And `large_objects`.",
    )
    beside: tuple[Identifier, ...] = Field(
        (), description="Names of applications that may stay connected to the database past the pooler."
    )

    @property
    def databases_beside(self) -> tuple[str, ...]:
        """Green."""
        return (self.to,)

    def compile(self, context: Context) -> Compiled:
        """A replication there, a proof, the switch, and a replication back until archive."""
        if self.to == context.database:
            context.refuse(f"{self.to} is the database itself", fix="name another one in `to`", at=("to",))
        there = context.elsewhere[self.to]
        refuse_unable(context, context)
        refuse_unable(context, there)
        unknown = sorted(set(self.reached) - {context.database, self.to})
        if unknown:
            context.refuse(
                f"{unknown[0]} is neither {context.database} nor {self.to}",
                fix="name one of these",
                at=("reached", unknown[0]),
            )
        stays = Staying(context, self.without)
        if context.probe.has_large_objects() and not stays.has_word(_LARGE_OBJECTS):
            context.refuse(
                f"{context.database} has large objects",
                why="they are not replicated",
                fix=f"keep them in columns of type bytea; or `without: [{_LARGE_OBJECTS}]`, if they may stay behind",
                at=("to",),
            )
        tables = tuple(paired_tables(context, there, stays))
        if not tables:
            context.refuse(f"{context.database} has no table to carry", at=("to",))
        sequences = tuple(carried_sequences(context, there, stays))
        stays.refuse_unknown()
        away = self._replication(context, there, [blue for blue, _, _ in tables], [own for *_, own in tables])
        back = self._replication(there, context, [green for _, green, _ in tables], [own for *_, own in tables])
        pooler = Pooler(admin=self.pooler.admin, entry=self.pooler.database, file=self.pooler.file)
        return Compiled(
            steps=(
                _send(there, away),
                Compare(
                    id=f"{self.to}/compare",
                    leg=VALIDATE,
                    database=self.to,
                    title=f"compare all tables of {context.database} and {self.to}",
                    of=away,
                ),
                Switch(
                    id=f"{self.to}/switch",
                    leg=stage_leg("cutover"),
                    database=self.to,
                    title=f"switch all clients from {context.database} to {self.to}",
                    away=away,
                    back=back,
                    pooler=pooler,
                    sequences=sequences,
                    beside=self.beside,
                    undo=(
                        Switch(
                            id=f"{self.to}/switch/undo",
                            leg=stage_leg("cutover"),
                            database=self.to,
                            title=f"switch all clients from {self.to} back to {context.database}",
                            away=back,
                            back=away,
                            pooler=pooler,
                            sequences=sequences,
                            beside=self.beside,
                        ),
                    ),
                    undo_title="switch back",
                ),
                EndReplication(
                    id=f"{self.to}/end",
                    leg=stage_leg("archive"),
                    database=self.to,
                    title=f"end the replication from {self.to} to {context.database}",
                    of=back,
                    irreversible=True,
                    undo_title=f"what was written since is in {self.to} alone",
                ),
            ),
            hazards=tuple(_hazards(context, there, self.without)),
            maps=tuple(_mapped(context, there, blue, own) for blue, _, shared in tables for own in shared),
        )

    def _replication(
        self, publisher: Context, subscriber: Context, tables: list[Table], shared: list[tuple[str, ...]]
    ) -> Replication:
        own = publisher.own("replication", publisher.catalog.database, publisher.database, subscriber.database)
        return Replication(
            name=own,
            publisher=publisher.database,
            subscriber=subscriber.database,
            tables=tuple(
                ReplicatedTable(
                    relation=relation(each.name), columns=columns, only=len(columns) < len([*stored_columns(each)])
                )
                for each, columns in zip(tables, shared, strict=True)
            ),
            reached=self.reached.get(publisher.database),
            shape=tuple(sorted(replicated_shape(publisher))),
        )


def _send(there: Context, away: Replication) -> Replicate:
    names = [table(each.relation) for each in away.tables]
    return Replicate(
        id=f"{there.database}/replicate",
        leg=BACKFILL,
        database=there.database,
        title=f"copy all rows of {away.publisher}, and replicate what is written there",
        of=away,
        undo=(
            EndReplication(
                id=f"{there.database}/replicate/end",
                leg=BACKFILL,
                database=there.database,
                title=f"end the replication from {away.publisher}",
                of=away,
            ),
            Ddl(
                id=f"{there.database}/replicate/empty",
                leg=BACKFILL,
                database=there.database,
                title=f"empty the tables of {there.database}",
                statements=text(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(names))),
            ),
        ),
        undo_title="end it, and empty the tables",
    )


def _hazards(context: Context, there: Context, without: tuple[str, ...]) -> Iterator[Hazard]:
    yield Hazard(
        "holds-clients",
        "warning",
        f"all transactions of clients wait in the pooler during the cutover from {context.database} to"
        f" {there.database}, for less than two seconds",
        "give the cutover a window at a quiet time",
    )
    yield Hazard(
        "keeps-wal",
        "warning",
        f"while {there.database} is away or slow, the server of {context.database} keeps its log for it; after the"
        " cutover the other way round",
        "watch its disk, or set max_slot_wal_keep_size",
    )
    yield Hazard(
        "address-in-catalog",
        "note",
        "the address of each server, with its password, is kept in the other's pg_subscription, for superusers to read",
        "give a role that may replicate only, under `reached`",
    )
    views = [str(name) for name, view in sorted(context.catalog.views.items()) if view.materialized]
    left = [
        *(f"materialized view {name} is for you to refresh" for name in views),
        *(f"{each} stays" for each in without),
    ]
    if left:
        yield Hazard("not-replicated", "warning", "; ".join(left))


def _mapped(context: Context, there: Context, of: Table, column: str) -> Mapped:
    return Mapped(
        table=of.name,
        column=column,
        sources=(column,),
        expression=column,
        of=of.name,
        of_database=context.database,
        in_database=there.database,
    )
