"""The steps of a table that refers to one which is taken in: its old column is let be empty, its new one is bound."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import carry, definitions, rules
from crossfade.steps.absorbed import notes
from crossfade.steps.absorbed.tables import Absorbed
from crossfade.steps.compose import equal, identifier, lock, text
from crossfade.steps.conflicts import counted
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
        # Not asked before anything is taken back: the column may be hidden then, or gone.
        again += (first, asked, *rest)
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
    alone = sql.SQL("t.{} IS NOT NULL AND NOT EXISTS (SELECT FROM {} AS l WHERE {})").format(
        sql.Identifier(child.column), absorbed.rows, like
    )
    words = f"rows of {child.table.name.name} that refer to {absorbed.kept.name.name} alone"
    found = rules.ask(place, f"{child.column}/alone", alone, words[:63])
    fix = f"delete these rows, or let them refer to rows that came from {absorbed.table.name}; then roll back again"
    return found.model_copy(update={"fix": fix})


def bound(absorbed: Absorbed, child: Referring) -> Iterator[AnyStep]:
    """The same foreign key to the kept table, proved without a lock that blocks."""
    place = _place(absorbed, child, VALIDATE)
    yield _asked(absorbed, child, place, f"{child.column}/fkey")
    shown = f"{child.name}, to {absorbed.kept.name}"
    statement = definitions.foreign_key_to_one_column(
        child.relation,
        child.constraint,
        name=child.name,
        column=child.column,
        referenced=absorbed.key.name,
        parent=absorbed.right,
    )
    add, proof = rules.constrain(
        place,
        child.name,
        statement,
        subject=f"{child.column}/fkey",
        shown=shown,
        parents=(absorbed.right,),
    )
    told = text(*carry.told_of_constraint(identifier(child.table.name), child.constraint, child.name))
    yield add.model_copy(update={"statements": (*add.statements, *told)})
    # Until it bound, a like may have gone whose own row, and what refers to that, is still held.
    yield _asked(absorbed, child, place, f"{child.column}/fkey/bound")
    yield proof


def _asked(absorbed: Absorbed, child: Referring, place: Place, subject: str) -> Check:
    """That every row refers to one which is there; what is still to be carried is waited for."""
    refers = sql.Identifier("t", child.column)
    orphan = sql.SQL("t.{} IS NOT NULL AND NOT EXISTS (SELECT FROM {} AS k WHERE {}) AND {} NOT IN ({})").format(
        sql.Identifier(child.column),
        absorbed.kept_sql,
        absorbed.has_key("k", refers),
        absorbed.note_json(refers),
        notes.open_notes(absorbed, "key"),
    )
    words = f"rows of {child.table.name.name} without a row in {absorbed.kept.name.name}"
    found = rules.ask(place, subject, orphan, words[:63])
    query = sql.SQL("SELECT orphans.*, {} FROM ({}) AS orphans").format(
        counted(sql.SQL("({})").format(notes.open_notes(absorbed, "sqlstate"))), trusted(found.query)
    )
    return found.model_copy(update={"query": query.as_string(None), "settle": notes.settle(absorbed)})


def _place(absorbed: Absorbed, child: Referring, leg: Leg) -> Place:
    return Place(absorbed.migration, absorbed.database, child.relation, child.table.key, leg)
