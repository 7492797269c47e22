"""rename_table: a new name for the new version, while the old version goes on with the old one."""

from __future__ import annotations

from pydantic import Field

from crossfade.catalog.model import Name, Table
from crossfade.changes._change import Change, Compiled, Hazard
from crossfade.changes._context import Context
from crossfade.changes._instant import instant
from crossfade.changes._rights import missing_right
from crossfade.changes._trial import trial
from crossfade.changes._whole_table import named_in_functions, refuse_held, refuse_part, uses
from crossfade.composing import sql
from crossfade.spec.values import Identifier
from crossfade.steps.compose import identifier, lock, relation
from crossfade.steps.stand_in import INVOKER_SINCE, stand_in
from crossfade.steps.step import EXPAND, AnyStep, Check, Ddl, stage_leg

_CUTOVER, _RETIRE, _DROP = stage_leg("cutover"), stage_leg("retire"), stage_leg("drop")

_COLUMNS = """
SELECT pg_catalog.count(*) AS "columns that the table and its view do not share"
  FROM (SELECT a.attname, a.atttypid FROM pg_attribute AS a
         WHERE a.attrelid = {table}::regclass::oid AND a.attnum > 0 AND NOT a.attisdropped) AS t
  FULL JOIN (SELECT a.attname, a.atttypid FROM pg_attribute AS a
              WHERE a.attrelid = {view}::regclass::oid AND a.attnum > 0 AND NOT a.attisdropped) AS v
    ON v.attname = t.attname AND v.atttypid = t.atttypid
 WHERE t.attname IS NULL OR v.attname IS NULL"""


class RenameTable(Change):
    """Rename a table.

    Both names work, for reads and writes, from `expand` until `retire`: one is the table's, the other a view's over it.
    The view has the table's columns in their order, their defaults, comments and grants, and reads as whoever asks
    (`security_invoker`). At `cutover` the two swap names in one short transaction. No row is written or read for it.

    Indexes, constraints, sequences, triggers, policies and publications stay on the table and keep their names. Views,
    foreign keys and functions in standard SQL that use the table follow it.

    ## Old and new versions

    From `expand` on the new version uses the new name, the old version the old one; each sees what the other writes.
    Until `cutover` the new name is the view, after it the old one. From `retire` on the old name is gone.

    ## Undo

    At once: the names swap back. After `drop`, which drops the view of the old name, the view is made again.

    ## Locks

    ACCESS EXCLUSIVE on the table and the view for an instant, at cutover and to turn it back. ACCESS SHARE on the table
    for an instant in expand. At retire and drop on the view alone.

    ## Hazards

    - `not-through-a-view`: what a view cannot do fails under the name that is the view at the time: COPY, TRUNCATE,
      ON CONFLICT ON CONSTRAINT, MERGE before PostgreSQL 17, GROUP BY the key alone, CREATE INDEX, a foreign key to it,
      `ctid`. COPY (SELECT ...) TO, ON CONFLICT (columns), RETURNING and FOR UPDATE work. A framework that reads keys
      from the catalog finds none on the view: name the key in its model.
    - `names-stay`: indexes, constraints and sequences that bear the old name keep it.
    - `function-body`: the text of a function has the table's name, and fails from `retire` on.
    - `published`: subscribers know the table by its name. Refused until the spec names the publication under
      `publications`.

    Refused: a name that is taken; a function or column that uses the table's row type, which a row of the view is not;
    partitions and inheritance trees; a table with row security on PostgreSQL 14, where a view would bypass it; columns
    that were added or dropped between `expand` and `cutover`, which the view does not show.

    ## Example

    ```yaml
    changes:
      - rename_table: {table: users, to: accounts}
    ```
    """

    table: Identifier = Field(description="A name in the `schema` of the database, or `schema.table`.")
    to: Identifier = Field(description="The new name; the table stays in its schema.")

    def compile(self, context: Context) -> Compiled:
        """A view under the new name, the swap, and the view gone."""
        table = context.table(self.table)
        old, new = table.name, Name(table.name.schema, self.to)
        refuse_part(context, table, "renamed")
        refuse_held(context, table)
        _refuse_taken(context, new)
        _refuse_open_rows(context, table)
        _refuse_row_type(context, table)
        swap, hidden = (Name(old.schema, context.own(purpose, old.name)) for purpose in ("swap", "old"))
        retire = _retire(context, old, hidden)
        return Compiled(
            steps=(
                self._expand(context, table, new),
                _alike(context, table, new),
                _swap(context, table, new, swap),
                *trial(context, old, hidden, retire),
                retire,
                _drop(context, table, new, hidden),
            ),
            takes=(old,),
            hazards=(*_hazards(context, table, new), *missing_right(context, old.schema, "a view")),
        )

    def _expand(self, context: Context, table: Table, new: Name) -> AnyStep:
        return instant(
            context,
            EXPAND,
            f"{table.name}/rename/view",
            f"let {new} stand for {table.name}",
            _view(context, table, new, table.name),
            [sql.SQL("DROP VIEW IF EXISTS {}").format(identifier(new))],
            f"drop the view {new}",
            locks=lock(relation(table.name), "ACCESS SHARE"),
            back_locks=lock(relation(new), "ACCESS EXCLUSIVE"),
        )


def _view(context: Context, table: Table, view: Name, over: Name) -> list[sql.Composable]:
    return list(stand_in(table, view, over, version=context.catalog.server.version))


def _alike(context: Context, table: Table, new: Name) -> Check:
    """Whoever alters the table while the view stands for it leaves one version without the column."""
    query = sql.SQL(_COLUMNS).format(
        table=sql.Literal(identifier(table.name).as_string(None)), view=sql.Literal(identifier(new).as_string(None))
    )
    return Check(
        id=f"{table.name}/rename/ask",
        leg=_CUTOVER,
        database=context.database,
        title=f"ask that {new} shows what {table.name} has",
        locks=lock(relation(table.name), "ACCESS SHARE"),
        query=query.as_string(None).strip(),
        fix=f"`crossfade rollback {context.migration}` and `crossfade up {context.migration}`: the view is made anew",
    )


def _swap(context: Context, table: Table, new: Name, between: Name) -> AnyStep:
    old = table.name
    both = (*lock(relation(old), "ACCESS EXCLUSIVE"), *lock(relation(new), "ACCESS EXCLUSIVE"))
    return instant(
        context,
        _CUTOVER,
        f"{old}/rename/swap",
        f"rename {old} to {new}, and the view of that name to {old}",
        [_renamed("VIEW", new, between), _renamed("TABLE", old, new), _renamed("VIEW", between, old)],
        [_renamed("VIEW", old, between), _renamed("TABLE", new, old), _renamed("VIEW", between, new)],
        "swap the names back",
        locks=both,
    )


def _retire(context: Context, old: Name, hidden: Name) -> Ddl:
    return instant(
        context,
        _RETIRE,
        f"{old}/rename/hide",
        f"hide the view {old}",
        [_renamed("VIEW", old, hidden)],
        [_renamed("VIEW", hidden, old)],
        f"give the view {old} its name back",
        locks=lock(relation(old), "ACCESS EXCLUSIVE"),
        back_locks=lock(relation(hidden), "ACCESS EXCLUSIVE"),
    )


def _drop(context: Context, table: Table, new: Name, hidden: Name) -> AnyStep:
    return instant(
        context,
        _DROP,
        f"{table.name}/rename/drop",
        f"drop the view that stood for {table.name}",
        [sql.SQL("DROP VIEW {}").format(identifier(hidden))],
        _view(context, table, hidden, new),
        "make the view again",
        locks=lock(relation(hidden), "ACCESS EXCLUSIVE"),
        back_locks=lock(relation(new), "ACCESS SHARE"),
    )


def _renamed(what: str, old: Name, new: Name) -> sql.Composable:
    alter = sql.SQL("ALTER VIEW {} RENAME TO {}" if what == "VIEW" else "ALTER TABLE {} RENAME TO {}")
    return alter.format(identifier(old), sql.Identifier(new.name))


def _refuse_taken(context: Context, new: Name) -> None:
    catalog = context.catalog
    indexes = {
        index.name for table in catalog.tables.values() if table.name.schema == new.schema for index in table.indexes
    }
    taken = (catalog.tables, catalog.views, catalog.sequences, catalog.types)
    if new.name in indexes or any(new in names for names in taken):
        context.refuse(f"{new} exists already", fix="choose another name", at=("to",))


def _refuse_open_rows(context: Context, table: Table) -> None:
    if table.row_security and context.catalog.server.version < INVOKER_SINCE:
        context.refuse(
            f"{table.name} has row security, and {context.database} runs PostgreSQL 14",
            why="there a view reads the table as its owner does, so that one name would bypass the policies",
            fix="upgrade to PostgreSQL 15 first; or rename it with a `sql` change when no version uses it",
        )


def _refuse_row_type(context: Context, table: Table) -> None:
    """A row of the view is of another type: what takes one of the table's would take it no more."""
    columns = uses(context, table, ("column",))
    functions = [
        dependent
        for dependent in uses(context, table, ("function",))
        if not dependent.columns and _says_row_type(context, dependent.name, table.name)
    ]
    for dependent in (*columns, *functions):
        context.refuse(
            f"{dependent.kind} {dependent.name} is of the row type of {table.name}",
            why="rows that are read through the view under the other name are of another type",
            fix="let it take the columns it needs instead; or drop it, and create it again after this migration",
        )


def _says_row_type(context: Context, signature: str, table: Name) -> bool:
    """In its arguments or result rather than in a query of its body."""
    function = context.catalog.functions.get(signature)
    if function is None:
        return True
    heading = function.definition.partition("\n LANGUAGE ")[0]
    return identifier(table).as_string(None).replace('"', "") in heading.replace('"', "")


def _hazards(context: Context, table: Table, new: Name) -> tuple[Hazard, ...]:
    old = table.name
    found = [
        Hazard(
            "not-through-a-view",
            "warning",
            f"until cutover {new}, after it {old}, is a view: COPY, TRUNCATE, ON CONFLICT ON CONSTRAINT, GROUP BY the"
            " key alone, and MERGE before PostgreSQL 17 fail under that name; frameworks find no key on it",
            "use COPY (SELECT ...), DELETE, ON CONFLICT (columns) and all columns in GROUP BY, and name the key in the"
            " model, until the migration is complete",
        )
    ]
    kept = sorted(
        {index.name for index in table.indexes if old.name in index.name}
        | {constraint.name for constraint in table.constraints if old.name in constraint.name}
        | {s.name.name for s in context.catalog.sequences.values() if s.owned_by and s.owned_by[0] == old}
    )
    if kept:
        found.append(Hazard("names-stay", "note", f"{', '.join(kept)} keep their names"))
    for publication in table.publications:
        told = f"publication {publication.name} carries {old}, which its subscribers know by this name"
        fix = (
            "be ready to rename the table at each subscriber at cutover: what is written until then is applied once it"
            " is renamed"
        )
        if publication.name not in context.head.publications:
            context.refuse(
                f"{told}, and the spec does not say that they are ready",
                why="replication stops at the first row written after cutover until the subscriber has the new name",
                fix=f"{fix}; then say `publications: [{publication.name}]` in the spec",
            )
        found.append(Hazard("published", "danger", f"{told}; the spec says that they are ready", fix))
    return (*found, *named_in_functions(context, table, "from retire on it fails where it means this table"))
