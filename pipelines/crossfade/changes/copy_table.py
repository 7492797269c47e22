"""copy_table: a table of one database carried to another, and kept in step there until the migration ends."""

from __future__ import annotations

from pydantic import Field

from crossfade.catalog.model import Name, Table
from crossfade.changes._change import Change, Compiled, Hazard, Mapped
from crossfade.changes._context import Context
from crossfade.changes._copied import CopiedColumn, Shape, copied_columns, refuse_unsteady
from crossfade.changes._rights import missing_right
from crossfade.changes._whole_table import refuse_part
from crossfade.composing import sql
from crossfade.spec.fragment import Expression
from crossfade.spec.values import Identifier, SpecModel
from crossfade.steps.capture import Capture
from crossfade.steps.compose import lock, relation, table, text
from crossfade.steps.copying import copying
from crossfade.steps.step import BACKFILL, EXPAND, VALIDATE, AnyStep, Copy, Copying, Ddl, Leg, stage_leg


class Destination(SpecModel):
    """Where a table is copied to."""

    database: str = Field(description="A database of databases.yaml, another one than the table's.")
    table: Identifier | None = Field(None, description="Its name there, or `schema.table`; as it is called here.")


class CopyTable(Change):
    """Copy a table to another database, while it is written, and keep the copy in step until the migration ends.

    The copy is made in expand, with its columns, defaults, key, checks and comments, and from then on a trigger
    captures which rows of the table are written. Backfill streams the rows over in chunks, as PostgreSQL's binary COPY,
    and then applies what was written meanwhile. Validate makes the indexes, applies what was written since, and
    compares all rows, both sides as of one moment. The stage `archive` does so for the last time, `drop` ends the
    capture.

    Between these legs the copy stands as the last one left it: what was written since is carried over with the next.
    `columns` and `where` make another shape of it. A serial or identity column is an identity there, and goes on with
    the numbers. What cannot be carried is refused by name, unless `without` says that it stays behind: foreign keys,
    exclusion constraints, triggers, policies, rules, and what reads columns that are not carried. Grants are for you to
    give anew.

    ## Old and new versions

    Both write and read the table as before. The copy is for reading until `archive` has ended: what anybody else
    writes to it is overwritten, or refuses validate.

    ## Undo

    Drops the copy, and the trigger with what it captured. After `drop` it cannot be undone: the copy stays.

    ## Locks

    SHARE ROW EXCLUSIVE on the table for an instant, to install the trigger, and ACCESS EXCLUSIVE for an instant to take
    it away. Copying reads, and nobody waits for it. The copy is locked while its indexes are made.

    ## Hazards

    - `captures-writes`: each write of a row writes one of its keys to a table in the schema `crossfade`, which grows
      until a leg carries it over.
    - A table without a key, a partitioned one, and one with types that the other database does not have are refused.

    ## Example

    ```yaml
    changes:
      - copy_table:
          table: customers
          to: {database: billing}
          where: NOT is_test
    ```
    """

    table: Identifier = Field(description="The table that is copied.")
    to: Destination = Field(description="The copy.")
    columns: dict[Identifier, Expression] = Field(
        default_factory=dict[str, Expression],
        description="The copy's columns: name: SQL over the row. Left out: all of the table's, as they are.",
    )
    where: Expression | None = Field(None, description="SQL over the row: those for which it is true are copied.")
    without: tuple[Identifier, ...] = Field((), description="Names of what stays behind, such as a foreign key.")

    @property
    def databases_beside(self) -> tuple[str, ...]:
        """The copy's."""
        return (self.to.database,)

    def compile(self, context: Context) -> Compiled:
        """Capture and an empty copy, the rows, what is made over them, and proofs."""
        if self.to.database == context.database:
            context.refuse(
                f"{self.table} is in database {context.database} already",
                fix="name another database in `to`, or create_table and insert_rows here",
                at=("to", "database"),
            )
        there = context.elsewhere[self.to.database]
        source = context.table(self.table)
        _refuse_unfit(context, source)
        name = there.name(self.to.table or source.name.name)
        _refuse_taken(context, there, name)
        columns = copied_columns(context, there, source, self.columns)
        if self.where is not None:
            refuse_unsteady(context, source, self.where)
        key = _key(context, source, columns)
        target = relation(name)
        shape = Shape(context, there, source, target, columns, key, self.without)
        shape.refuse_uncarried()
        capture = Capture(context.migration, context.database, source, source.key, f"the copy in {there.database}")
        step_id = f"{source.name}/copy/{there.database}.{name}"
        of = copying(
            capture,
            target,
            [column.carried for column in columns],
            key,
            step_id=f"{step_id}/rows",
            where=self.where.render(source.name.name, "t") if self.where is not None else sql.SQL("true"),
            sequences=[*shape.sequences()],
        )
        steps: list[AnyStep] = [
            capture.begin(f"{step_id}/capture"),
            _make(shape, there, f"{step_id}/make"),
            _copy(there, of, BACKFILL, of.id),
            *_index(shape, there, f"{step_id}/indexes"),
            _copy(there, of, VALIDATE, f"{step_id}/prove"),
            _copy(there, of, stage_leg("archive"), f"{step_id}/last"),
            capture.end(f"{step_id}/end", stage_leg("drop")).model_copy(
                update={"irreversible": True, "undo_title": "what was written since cannot be known"}
            ),
        ]
        return Compiled(
            steps=tuple(steps),
            maps=tuple(_mapped(context, there, source, name, column, self.columns) for column in columns),
            hazards=(_captures(source), *missing_right(there, name.schema, "a table")),
        )


def _refuse_unfit(context: Context, source: Table) -> None:
    if context.is_new(source):
        context.refuse(f"{source.name} is made by this migration", why="it has no rows to copy", at=("table",))
    refuse_part(context, source, "copied")
    if source.kind == "partitioned":
        context.refuse(
            f"{source.name} is partitioned",
            why="the copy would be one table, and its rows are found by partition here",
            fix="copy its partitions when they are detached",
            at=("table",),
        )
    if not source.key:
        context.refuse(
            f"{source.name} has no primary key, nor a unique index over NOT NULL columns",
            why="nothing would tell which row of the copy a write is about",
            fix="add_constraint a primary key in a migration that comes before",
            at=("table",),
        )


def _refuse_taken(context: Context, there: Context, name: Name) -> None:
    if name in there.catalog.tables or name in there.catalog.views:
        context.refuse(
            f"{name} exists already in database {there.database}",
            why="its rows would be mixed with those that are copied",
            fix="give the copy another name: `to: {database: ..., table: ...}`",
            at=("to",),
        )


def _key(context: Context, source: Table, columns: tuple[CopiedColumn, ...]) -> tuple[str, ...]:
    """The columns of the copy that hold the key as it is."""
    names = {column.of.name: column.name for column in columns if column.of is not None}
    for column in source.key:
        if column not in names:
            context.refuse(
                f"the key of {source.name} is ({', '.join(source.key)}), and {column} is not carried as it is",
                why="by its key a write finds its row in the copy",
                fix=f"add `{column}: {column}` to `columns`",
                at=("columns",),
            )
    return tuple(names[column] for column in source.key)


def _make(shape: Shape, there: Context, step_id: str) -> Ddl:
    name = table(shape.target)
    return Ddl(
        id=step_id,
        leg=EXPAND,
        database=there.database,
        title=f"create the empty copy {shape.target}",
        statements=text(*shape.made()),
        undo=(
            Ddl(
                id=f"{step_id}/undo",
                leg=EXPAND,
                database=there.database,
                title=f"drop the copy {shape.target}",
                locks=lock(shape.target, "ACCESS EXCLUSIVE"),
                statements=text(sql.SQL("DROP TABLE IF EXISTS {}").format(name)),
            ),
        ),
        undo_title="drop the copy",
    )


def _copy(there: Context, of: Copying, leg: Leg, step_id: str) -> Copy:
    begins = leg == BACKFILL
    what = f"copy rows of {of.source}'s {of.relation} to {of.target}"
    again = f"apply what was written to {of.source}'s {of.relation}, and compare it with {of.target}"
    empty = Ddl(
        id=f"{step_id}/undo",
        leg=leg,
        database=there.database,
        title=f"empty the copy {of.target}",
        locks=lock(of.target, "ACCESS EXCLUSIVE"),
        statements=text(sql.SQL("TRUNCATE {}").format(table(of.target))),
    )
    return Copy(
        id=step_id,
        leg=leg,
        database=there.database,
        title=what if begins else again,
        locks=lock(of.target, "ROW EXCLUSIVE"),
        of=of,
        prove=not begins,
        undo=(empty,) if begins else (),
        undo_title="empty the copy" if begins else "nothing to take back",
    )


def _index(shape: Shape, there: Context, step_id: str) -> list[Ddl]:
    statements = text(*shape.indexed())
    if not statements:
        return []
    locks = lock(shape.target, "ACCESS EXCLUSIVE")
    title = f"create the indexes of {shape.target}"
    undo = Ddl(
        id=f"{step_id}/undo",
        leg=VALIDATE,
        database=there.database,
        title=f"drop the indexes of {shape.target}",
        locks=locks,
        statements=text(*shape.unindexed()),
    )
    return [
        Ddl(
            id=step_id,
            leg=VALIDATE,
            database=there.database,
            title=title,
            locks=locks,
            statements=statements,
            works_locked=True,
            undo=(undo,),
            undo_title="drop them",
        )
    ]


def _captures(source: Table) -> Hazard:
    return Hazard(
        "captures-writes",
        "note",
        f"each write of a row of {source.name} writes its key to a table in the schema crossfade, which grows until the"
        " next leg carries it over",
        "let no leg wait for longer than the disk has room for the keys",
    )


def _mapped(
    context: Context, there: Context, source: Table, name: Name, column: CopiedColumn, mapping: dict[str, Expression]
) -> Mapped:
    expression = mapping.get(column.name)
    return Mapped(
        table=name,
        column=column.name,
        sources=(column.name,) if expression is None else tuple(sorted(expression.columns(source.name.name))),
        expression=column.name if expression is None else str(expression),
        of=source.name,
        of_database=context.database,
        in_database=there.database,
    )
