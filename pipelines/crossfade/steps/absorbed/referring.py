"""The steps of a table that refers to one which is taken in: its old column is let be empty, its new one is bound."""

from __future__ import annotations

from collections.abc import Iterator

import postgast

from crossfade.composing import sql
from crossfade.steps import carry, rules
from crossfade.steps.absorbed.tables import Absorbed
from crossfade.steps.compose import equal, identifier, lock, table, text
from crossfade.steps.rekey import Referring
from crossfade.steps.rules import Place
from crossfade.steps.step import BACKFILL, EXPAND, VALIDATE, AnyStep, Check, Ddl, Leg


def freed(absorbed: Absorbed, child: Referring) -> Iterator[Ddl]:
    """For rows of the new version that refer to one which the old version does not know."""
    bound = [name for name in child.columns if child.table.by_name[name].not_null]
    if not bound:
        return
    place = _place(absorbed, child, EXPAND)
    again: list[AnyStep] = []
    for name in bound:
        shown = f"{child.relation}.{name}"
        asked, first, *rest = rules.not_null_again(place, name, subject=f"freed {name}", shown=shown)
        again += (
            first,
            asked,
            *rest,
        )  # not asked before anything is taken back: the column may be hidden then, or gone
    drop = sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL")
    yield Ddl(
        id=place.id(child.column, "freed"),
        leg=EXPAND,
        database=absorbed.database,
        title=f"let {', '.join(bound)} of {child.relation} be empty, for rows of the new version",
        locks=lock(child.relation, "ACCESS EXCLUSIVE"),
        statements=text(*(drop.format(place.sql, sql.Identifier(name)) for name in bound)),
        undo=tuple(again),
        undo_title="make them NOT NULL again",
    )


def asked_before_the_way_back(absorbed: Absorbed, child: Referring) -> Check:
    """Rows that refer to one which only the kept table has: without their new column they would refer to nothing."""
    place = _place(absorbed, child, BACKFILL)
    # Asked by the view, and not by the old column, which has another name from retire on.
    like = equal(absorbed.key.type, sql.Identifier("l", absorbed.link), sql.Identifier("t", child.column))
    alone = sql.SQL("t.{} IS NOT NULL AND NOT EXISTS (SELECT FROM {} AS l WHERE {} AND l.{})").format(
        sql.Identifier(child.column), absorbed.rows, like, sql.Identifier(absorbed.made)
    )
    words = f"rows of {child.table.name.name} that refer to {absorbed.kept.name.name} alone"
    found = rules.ask(place, f"{child.column}/alone", alone, words[:63])
    fix = f"delete these rows, or let them refer to rows that came from {absorbed.table.name}; then roll back again"
    return found.model_copy(update={"fix": fix})


def bound(absorbed: Absorbed, child: Referring) -> Iterator[AnyStep]:
    """The same foreign key to the kept table, proved without a lock that blocks."""
    place = _place(absorbed, child, VALIDATE)
    orphan = sql.SQL("t.{} IS NOT NULL AND NOT EXISTS (SELECT FROM {} AS k WHERE {})").format(
        sql.Identifier(child.column), absorbed.kept_sql, absorbed.has_key("k", sql.Identifier("t", child.column))
    )
    words = f"rows of {child.table.name.name} without a row in {absorbed.kept.name.name}"
    yield rules.ask(place, f"{child.column}/fkey", orphan, words[:63])
    shown = f"{child.name}, to {absorbed.kept.name}"
    add, proof = rules.constrain(
        place,
        child.name,
        _to_kept(absorbed, child),
        subject=f"{child.column}/fkey",
        shown=shown,
        parents=(absorbed.right,),
    )
    told = text(*carry.told_of_constraint(identifier(child.table.name), child.constraint, child.name))
    yield add.model_copy(update={"statements": (*add.statements, *told)})
    yield proof


def _to_kept(absorbed: Absorbed, child: Referring) -> str:
    begin = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(table(child.relation), sql.Identifier(child.name))
    tree = postgast.parse(begin.as_string(None) + child.constraint.definition)
    definition = tree.stmts[0].stmt.alter_table_stmt.cmds[0].alter_table_cmd.__getattribute__("def").constraint
    definition.pktable.schemaname, definition.pktable.relname = absorbed.right.schema_name, absorbed.right.name
    for held, name in ((definition.fk_attrs, child.column), (definition.pk_attrs, absorbed.key.name)):
        del held[1:]
        held[0].string.sval = name
    # What says how several columns are compared, or set, falls away.
    del definition.fk_del_set_cols[:]
    definition.fk_matchtype = "s"
    definition.skip_validation = True
    definition.initially_valid = False
    return postgast.deparse(tree)


def _place(absorbed: Absorbed, child: Referring, leg: Leg) -> Place:
    return Place(absorbed.migration, absorbed.database, child.relation, child.table.key, leg)
