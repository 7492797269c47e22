"""Whether a table's rows can come into another one, found out when planning and refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crossfade.catalog.model import Column, Constraint, Name, Table, Trigger
from crossfade.changes._children import has_children
from crossfade.changes._context import Context
from crossfade.changes._mapping import checked
from crossfade.changes._mirrored import refuse_hidden_rows
from crossfade.changes._obstacles import refuse_branched
from crossfade.changes._row_use import row_use
from crossfade.changes._silence import is_silent
from crossfade.changes._triggers import may_assign
from crossfade.changes._whole_table import refuse_held, refuse_lent_sequence, refuse_part, uses
from crossfade.composing import sql
from crossfade.spec.databases import search_path
from crossfade.spec.fragment import Expression
from crossfade.steps.absorbed import Absorbed
from crossfade.steps.compose import identifier
from crossfade.steps.numbering import most

_NEVER_THE_SAME = {"clock_timestamp", "timeofday", "random", "gen_random_uuid", "nextval"}
_BLOCKS = ("view", "materialized view", "rule", "policy", "function", "column")


def refuse_unmergeable(context: Context, table: Table, kept: Table) -> None:
    """Tables that are not whole and by themselves, or that something else holds on to."""
    if table is kept:
        context.refuse(f"{table.name} is to be merged into itself", at=("from",))
    for each, at in ((kept, "table"), (table, "from")):
        with context.at(at):
            if context.is_new(each):
                what = f"{each.name} is made by this migration"
                context.refuse(what, why="nobody writes it yet, so there is nothing to keep in step")
            if each.kind == "partitioned":
                context.refuse(
                    f"{each.name} is partitioned",
                    why="its triggers are those of every partition, and no index of it is built concurrently",
                    fix="merge plain tables, and partition what comes of it with `partition_table` after",
                )
            refuse_branched(context, each)
            refuse_hidden_rows(context, each)
    with context.at("from"):
        refuse_part(context, table, "dropped")
        refuse_held(context, table)
        _refuse_used(context, table)
        refuse_lent_sequence(context, table)
        if table.row_security and not kept.row_security:
            context.refuse(
                f"{table.name} has row security, {kept.name} has none",
                why="whoever may read the kept table would read the rows that are guarded now",
                fix=f"give {kept.name} row security and policies first",
            )
    for foreign in context.catalog.references_to(table.name):
        if foreign.child in (table.name, kept.name):
            of = "itself" if foreign.child == table.name else "the table that is kept"
            context.refuse(
                f"foreign key {foreign.name} of {foreign.child} points at {table.name}, which is merged into {of}"
                if foreign.child == kept.name
                else f"foreign key {foreign.name} points from {table.name} at itself",
                why="the column that refers would be kept in step with two tables at once",
                fix="drop the foreign key in a migration that comes before, and set the column by `update_rows` after",
                at=("from",),
            )


def _refuse_used(context: Context, table: Table) -> None:
    if found := uses(context, table, _BLOCKS):
        named = ", ".join(f"{dependent.kind} {dependent.name}" for dependent in found)
        context.refuse(
            f"{table.name} is used by {named}",
            why=f"the {found[0].kind} would hinder its drop, and nothing is dropped by CASCADE",
            fix="drop or replace it in a migration that comes before",
        )


def refuse_unkeyed(context: Context, table: Table, kept: Table) -> None:
    """Both have a primary key; that of the kept table can be drawn for a row of the other one."""
    for each, at in ((kept, "table"), (table, "from")):
        primary = _primary(each)
        if primary is None:
            context.refuse(f"{each.name} has no primary key", fix="give it one first", at=(at,))
        if primary.deferrable:
            what = f"the primary key {primary.name} of {each.name} may be checked at commit"
            context.refuse(what, fix="replace it with a plain one first", at=(at,))
        with context.at(at):
            for name in each.key:
                context.probe.tells_rows_apart(each.by_name[name].type)
    first, *others = (kept.by_name[name] for name in kept.key)
    if others or (first.default is None and first.identity is None):
        context.refuse(
            f"the key ({', '.join(kept.key)}) of {kept.name} is not one column with a default or identity",
            why="rows that come need keys there which nobody else has",
            fix=f"give {kept.name} such a key first, with `replace_key`",
            at=("table",),
        )


def _primary(table: Table) -> Constraint | None:
    return next((found for found in table.constraints if found.kind == "primary_key"), None)


def absorbed_by(
    context: Context, table: Table, kept: Table, columns: Mapping[str, str], values: Mapping[str, Expression]
) -> Absorbed:
    """The two as they are kept in step; refuses rules that bind too late, and keys that run out."""
    row = context.row_types(table)
    for name, value in values.items():
        wanted = kept.by_name[name].type
        checked(context, table, value, row=row, wanted=wanted, field=f"set of {name}", at=("set", name))
    for each, held in ((kept, {*columns, *values}), (table, {*columns.values()})):
        late = [found for found in each.constraints if found.deferrable and held & set(found.columns)]
        if late:
            context.refuse(
                f"{late[0].name} of {each.name} may be checked at commit",
                why="what is carried over and breaks it would fail the other version's transaction there",
                fix=f"ALTER TABLE {identifier(each.name).as_string(None)} ALTER CONSTRAINT"
                f" {sql.Identifier(late[0].name).as_string(None)} NOT DEFERRABLE first, or drop it",
            )
    _refuse_excluding(context, kept, {*columns, *values})
    _refuse_endless(context, table, kept, columns)
    where = context.where
    silent = is_silent(context.catalog, context.head, kept.name, where=where, done="made", event="insert")
    keys = [key for key in context.catalog.references_from(kept.name) if {*columns, *values} & set(key.columns)]
    if silent and keys:
        context.refuse(
            f"{kept.name} has a foreign key {keys[0].name}, and trigger"
            f" {context.catalog.fired_by('insert', kept.name)[0].name} would fire",
            why="what silences user triggers silences the foreign key's check too",
            fix="say `backfill: {fire_triggers: true}`",
        )
    _refuse_exhausting(context, table, kept)
    return Absorbed(
        migration=context.migration,
        database=context.database,
        table=table,
        kept=kept,
        columns=columns,
        values=values,
        draw=_draw(context, kept),
        counters=tuple(_counters(context, kept)),
        referred=has_children(context.catalog, context.catalog.references_to(kept.name), "k"),
        search_path=search_path(context.schema),
        heard=bool(context.catalog.fired_by("insert", kept.name)) and not silent,
        silent=silent,
        silent_back=is_silent(context.catalog, context.head, kept.name, where=where, done="taken out", event="delete"),
        silent_old=is_silent(context.catalog, context.head, table.name, where=where, done="brought up to date"),
    )


def _refuse_excluding(context: Context, kept: Table, filled: set[str]) -> None:
    for found in kept.constraints:
        if found.kind == "exclude" and filled & set(found.columns):
            context.refuse(
                f"{', '.join(sorted(filled & set(found.columns)))} is in the exclusion constraint {found.name} of"
                f" {kept.name}",
                why="a row that is written there could not take the place of one that came: its write would fail",
                fix="drop it before this migration and add it again after, with `sql` changes",
                at=("table",),
            )


def _refuse_endless(context: Context, table: Table, kept: Table, columns: Mapping[str, str]) -> None:
    """Triggers on both sides that give a column another value each time: it would be carried to and fro for ever."""
    for there, here in columns.items():
        ours, theirs = _restless(kept, there), _restless(table, here)
        if ours is not None and theirs is not None:
            context.refuse(
                f"trigger {ours.name} of {kept.name} sets {there}, and {theirs.name} of {table.name} sets {here}, to"
                " what is never the same twice",
                why="each would change what is carried over from the other table, and no row would ever agree",
                fix=f"let both set it to now(), or one of them leave it; or say `without: [{here}]`, and under"
                f" `set` what {there} is at first",
                at=("columns", there),
            )


def _restless(table: Table, column: str) -> Trigger | None:
    """The trigger that gives the column, on each update, a value that no other call would have given."""
    for trigger in table.user_triggers:
        fires = trigger.before and trigger.row and "update" in trigger.events and trigger.enabled != "D"
        if fires and column in (may_assign(trigger) or ()) and row_use(trigger.body).calls & _NEVER_THE_SAME:
            return trigger
    return None


def _draw(context: Context, kept: Table) -> str:
    key = kept.by_name[kept.key[0]]
    if not key.identity:
        assert key.default is not None
        return key.default
    sequence = next(_sequences(context, kept, key))
    name = sql.Literal(identifier(sequence).as_string(None))
    return sql.SQL("pg_catalog.nextval({}::regclass)").format(name).as_string(None)


def _sequences(context: Context, kept: Table, key: Column) -> Iterator[Name]:
    return (each.name for each in context.catalog.sequences.values() if each.owned_by == (kept.name, key.name))


def _counters(context: Context, kept: Table) -> Iterator[Name]:
    """Of whole numbers: of what else a default makes of a number, nobody can tell which is the last."""
    key = kept.by_name[kept.key[0]]
    return _sequences(context, kept, key) if most(key.type) is not None else iter(())


def _refuse_exhausting(context: Context, table: Table, kept: Table) -> None:
    """Rows that come take keys that the application's own inserts will want."""
    key = kept.by_name[kept.key[0]]
    limit = most(key.type)
    for name in _sequences(context, kept, key):
        used = context.probe.sequence_use(name, kept.name)
        if limit is not None and used is not None and used.last + max(table.rows, 0) > limit // 10 * 9:
            context.refuse(
                f"{kept.name}.{key.name} is {key.type}: with {table.rows} rows more, 9 in 10 of its numbers are used",
                why="when they run out, no row can be inserted any more",
                fix="widen the key first, with `widen_key`",
                at=("table",),
            )
