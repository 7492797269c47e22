"""drop_table: a table nobody needs any more; hidden first, kept for a while, dropped last."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from crossfade.catalog.model import ForeignKey, Name, Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._let_go import let_go
from crossfade.changes._trial import trial
from crossfade.changes._whole_table import named_in_functions, refuse_held, refuse_lent_sequence, refuse_part, uses
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation, text
from crossfade.steps.step import Ddl, Relation, stage_leg

_RETIRE, _DROP = stage_leg("retire"), stage_leg("drop")
_BLOCKS = ("view", "materialized view", "rule", "policy", "function", "column")
_LETS_GO = ("ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE SET DEFAULT")


class DropTable(Change):
    """Drop a table.

    The table is not dropped at once. At `retire` its foreign keys to other tables go, each in a transaction of its own,
    and the table gets a name of crossfade's: whoever still uses it finds out while all of it is there. At `drop`, when
    the archive's `keep` has passed, it is dropped with its indexes, triggers, policies and sequences. Nothing is ever
    dropped by CASCADE.

    ## Old and new versions

    Until `retire` the old version reads and writes the table as ever; the new one leaves it alone. From `retire` on a
    statement that names it fails: let a gate hold `retire` back until the old version is gone.

    ## Undo

    At once, up to `drop`: the table gets its name back with every row, then its foreign keys are added again without a
    blocking scan. Where rows they point at have been deleted since, that step says so and waits. After `drop` there is
    no way back.

    ## Locks

    ACCESS EXCLUSIVE on the table for an instant, to rename it; on the table and one other for an instant, for each
    foreign key. To drop it, ACCESS EXCLUSIVE on the hidden table, which nobody uses.

    ## Hazards

    Refused by name: views, functions in standard SQL, rules, policies of other tables and columns of its row type that
    use it; foreign keys of other tables, unless a `drop_table` above this one in the same migration takes that table
    away; a sequence of its own that another table takes numbers from; partitions and inheritance trees.

    - `hidden-table`: from `retire` on, statements that name it fail.
    - `held-by-old-rows`: until `retire`, a row that its rows point at cannot be deleted.
    - `function-body`: the text of a function has the table's name.
    - `irreversible-drop`: what `drop` takes away cannot be brought back.

    Its indexes and sequences keep their names while it is hidden, so a new table cannot have indexes of these names
    until it is dropped.

    ## Example

    ```yaml
    changes:
      - drop_table: {table: coupons}

    contract:
      stages:
        - retire: {after: 7d}
        - archive: {keep: 30d}
        - drop:
    ```
    """

    table: Identifier = Field(description="A name in the `schema` of the database, or `schema.table`.")

    def compile(self, context: Context) -> Compiled:
        """Foreign keys and the name in retire, the table in drop."""
        table = context.table(self.table)
        refuse_part(context, table, "dropped")
        refuse_held(context, table)
        self._refuse_used(context, table)
        hidden = Relation(
            schema_name=table.name.schema, name=context.own("dropped", table.name.schema, table.name.name)
        )
        outgoing = [key for key in context.catalog.references_from(table.name) if key.parent != table.name]
        self._refuse_unprovable(context, table, outgoing)
        hide = _hide(context, table, hidden)
        return Compiled(
            steps=(
                *trial(context, table.name, Name(hidden.schema_name, hidden.name), hide),
                *(let_go(context.place(table, _RETIRE), table, key) for key in outgoing),
                hide,
                _drop(context, table, hidden),
            ),
            takes=(table.name,),
            drops=(table.name,),
            hazards=(
                *_hazards(table, outgoing),
                *named_in_functions(context, table, "from retire on it fails where it means this table"),
            ),
        )

    def _refuse_used(self, context: Context, table: Table) -> None:
        if found := uses(context, table, _BLOCKS):
            named = ", ".join(f"{dependent.kind} {dependent.name}" for dependent in found)
            context.refuse(
                f"{table.name} is used by {named}",
                why=f"the {found[0].kind} would hinder its drop, and nothing is dropped by CASCADE",
                fix="drop or replace it in a migration that comes before",
            )
        for key in context.catalog.references_to(table.name):
            if key.child != table.name and key.child not in context.dropped:
                context.refuse(
                    f"{table.name} is referenced by {key.name} on {key.child}",
                    why="the foreign key is another table's rule",
                    fix=f"drop the foreign key in a migration that comes before; or drop {key.child} too, with a"
                    " drop_table above this one",
                )
        refuse_lent_sequence(context, table)

    def _refuse_unprovable(self, context: Context, table: Table, outgoing: list[ForeignKey]) -> None:
        """Before 18, PostgreSQL scans a partitioned table under a lock to give it a foreign key again."""
        if table.kind == "partitioned" and outgoing and context.catalog.server.version < 180000:
            context.refuse(
                f"{table.name} is partitioned and has a foreign key, {outgoing[0].name}",
                why="before PostgreSQL 18 an undo could add it again only while nobody writes either table",
                fix="drop its foreign keys in a migration that comes before",
            )


def _hide(context: Context, table: Table, hidden: Relation) -> Ddl:
    return instant(
        context,
        _RETIRE,
        f"{table.name}/hide",
        f"hide table {table.name}",
        [sql.SQL("ALTER TABLE {} RENAME TO {}").format(identifier(table.name), sql.Identifier(hidden.name))],
        [
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(
                sql.Identifier(hidden.schema_name, hidden.name), sql.Identifier(table.name.name)
            )
        ],
        f"give {table.name} its name back",
        locks=lock(relation(table.name), "ACCESS EXCLUSIVE"),
        back_locks=lock(hidden, "ACCESS EXCLUSIVE"),
    )


def _drop(context: Context, table: Table, hidden: Relation) -> Ddl:
    return Ddl(
        id=f"{table.name}/drop",
        leg=_DROP,
        database=context.database,
        title=f"drop table {table.name} (hidden until now)",
        locks=lock(hidden, "ACCESS EXCLUSIVE"),
        statements=text(sql.SQL("DROP TABLE {}").format(sql.Identifier(hidden.schema_name, hidden.name))),
        undo_title="the table is gone with its rows",
        irreversible=True,
    )


def _hazards(table: Table, outgoing: list[ForeignKey]) -> Iterator[Hazard]:
    yield Hazard(
        "hidden-table",
        "warning",
        f"from retire on a statement that names {table.name} fails",
        "let a gate (soak, deployed) hold retire back until no version names it",
    )
    yield Hazard(
        "irreversible-drop", "danger", f"drop takes {table.name} away with its rows, for good", "keep a backup"
    )
    for key in outgoing:
        if not any(action in key.definition for action in _LETS_GO):
            yield Hazard(
                "held-by-old-rows",
                "warning",
                f"until retire a row of {key.parent} that rows of {table.name} point at ({key.name}) cannot be deleted",
                "let the new version delete such rows of the old table too, or none there, until retire",
            )
