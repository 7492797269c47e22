"""The steps of a table that refers to one whose key is replaced: its foreign key goes over, and can come back.

Its column is filled and kept in step as any pair's; here is what keeps the rule. Each step locks it and its parent for
an instant, so that children come before the parent's own change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crossfade.composing import sql
from crossfade.steps import carry, definitions, rules
from crossfade.steps.compose import identifier, lock, lock_parents, table, text
from crossfade.steps.conflicts import open_conflicts
from crossfade.steps.rekey.tables import Referring, Rekeyed
from crossfade.steps.step import VALIDATE, AnyStep, Ddl, Guard, Leg, Lock, stage_leg

_CUTOVER, _ARCHIVE = stage_leg("cutover"), stage_leg("archive")


def made(key: Rekeyed, child: Referring) -> Iterator[Ddl]:
    """The foreign key to the new key, beside that to the old one."""
    yield from _bound(key, child, VALIDATE)


def made_again(key: Rekeyed, child: Referring) -> Iterator[Ddl]:
    yield from _bound(key, child, _CUTOVER, "again")


def let_go(key: Rekeyed, child: Referring) -> Iterator[AnyStep]:
    """The old foreign key goes, for PostgreSQL would not let the old primary key go before."""
    yield from _proved(key, child)
    name = child.constraint.name
    # The old key is unique by the spare index, if the primary key is not yet changed back.
    back = definitions.carried_constraint(child.relation, child.constraint, name=name, columns={})
    no_conflict = sql.SQL("SELECT NOT EXISTS ({})").format(open_conflicts(key.migration, str(child.relation)))
    yield Ddl(
        id=_id(key, child, "let go"),
        leg=_CUTOVER,
        database=key.database,
        title=f"let {name} of {child.relation} go from the old key of {key.relation}",
        locks=_locks(key, child),
        statements=_dropped(child, name),
        guards=(
            Guard(
                query=no_conflict.as_string(None),
                refusal=f"a row of {child.relation} came into conflict since it was checked"
                f" (`crossfade conflicts {key.migration}` lists it)",
            ),
        ),
        undo=(
            Ddl(
                id=_id(key, child, "let go", "undo"),
                leg=_CUTOVER,
                database=key.database,
                title=f"bind {name} of {child.relation} to the old key of {key.relation} again",
                locks=_locks(key, child),
                statements=(
                    back,
                    *_dropped(child, _bridge(key, child)),
                    *text(*carry.told_of_constraint(identifier(child.table.name), child.constraint, name)),
                ),
            ),
            *_validated(key, child),
        ),
        undo_title="bind it to the old key again, then check every row without a lock",
    )


def bound_back(key: Rekeyed, child: Referring) -> Ddl:
    """Before the primary key changes back: no foreign key points at the new one, and one points at the spare index."""
    bridge = _bridge(key, child)
    return Ddl(
        id=_id(key, child, "bridge"),
        leg=_CUTOVER,
        database=key.database,
        title=f"let {child.name} of {child.relation} go from the new key of {key.relation}",
        locks=_locks(key, child),
        statements=(
            definitions.carried_constraint(child.relation, child.constraint, name=bridge, columns={}),
            *_dropped(child, child.name),
        ),
    )


def required_late(key: Rekeyed, child: Referring) -> Iterator[AnyStep]:
    """Where a row could come before the one it refers to, its new column was empty for a moment."""
    if not (child.required and child.late):
        return
    place = child.place(key, _ARCHIVE)
    shown = f"{child.relation}.{child.column}"
    rule = rules.not_null(place, child.column, lasting=child.column, subject=child.column, shown=shown)
    yield from rule.steps
    step_id = place.id(child.column, "not_null", "finish")
    yield Ddl(
        id=step_id,
        leg=_ARCHIVE,
        database=key.database,
        title=f"make {shown} NOT NULL",
        locks=lock(child.relation, "ACCESS EXCLUSIVE"),
        statements=rule.finish,
        undo=(
            Ddl(
                id=f"{step_id}/undo",
                leg=_ARCHIVE,
                database=key.database,
                title=f"let {shown} be empty again",
                locks=lock(child.relation, "ACCESS EXCLUSIVE"),
                statements=rule.unfinish,
            ),
        ),
        undo_title="let it be empty again",
    )


def end(key: Rekeyed, child: Referring) -> Iterator[Ddl]:
    """With the sync: from then on the old columns do not follow when a row refers to nothing any more."""
    if child.late or child.required:
        return
    yield Ddl(
        id=_id(key, child, "end"),
        leg=_ARCHIVE,
        database=key.database,
        title=f"let {child.column} of {child.relation} be empty whatever {', '.join(child.columns)} were",
        locks=lock(child.relation, "ACCESS EXCLUSIVE"),
        statements=_dropped(child, _rule(key, child)),
        undo=tuple(_ruled(key, child, _ARCHIVE, child.hidden(key.migration), "end", "undo")),
        undo_title="add the rule again, then check every row",
    )


def _bound(key: Rekeyed, child: Referring, leg: Leg, *more: str) -> Iterator[Ddl]:
    place = child.place(key, leg)
    statement = definitions.foreign_key_to_one_column(
        child.relation, child.constraint, name=child.name, column=child.column, referenced=key.column
    )
    subject, shown = "/".join((child.column, "fkey", *more)), f"{child.name}, to the new key of {key.relation}"
    add, proof = rules.constrain(place, child.name, statement, subject=subject, shown=shown, parents=(key.relation,))
    told = text(*carry.told_of_constraint(identifier(child.table.name), child.constraint, child.name))
    yield add.model_copy(update={"statements": (*add.statements, *told)})
    yield proof


def _proved(key: Rekeyed, child: Referring) -> Iterator[AnyStep]:
    """Every row that refers by the old key does so by the new one, and from here on none comes that does not."""
    if child.required and not child.late:  # then it is NOT NULL
        return
    words = f"rows of {child.relation} that refer to {key.relation} by the old key alone"
    asked = rules.ask(child.place(key, _CUTOVER), f"{child.column}/follows", _alone(child, child.columns), words)
    fix = "make the row that they refer to, or let them refer to another; then run `crossfade up` again"
    yield asked.model_copy(update={"fix": fix})
    if not child.late:
        yield from _ruled(key, child, _CUTOVER, child.columns)


def _ruled(key: Rekeyed, child: Referring, leg: Leg, columns: Sequence[str], *more: str) -> Iterator[Ddl]:
    """columns: those that refer by the old key, as they are called now."""
    place = child.place(key, leg)
    statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK (NOT ({})) NOT VALID").format(
        place.sql, sql.Identifier(_rule(key, child)), _alone(child, columns)
    )
    subject, shown = "/".join((child.column, "follows", *more)), f"{child.column} where it refers"
    yield from rules.constrain(place, _rule(key, child), statement.as_string(None), subject=subject, shown=shown)


def _alone(child: Referring, columns: Sequence[str]) -> sql.Composable:
    """A row refers by the old key and not by the new one."""
    held = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(name)) for name in columns)
    return sql.SQL("{} AND {} IS NULL").format(held, sql.Identifier(child.column))


def _validated(key: Rekeyed, child: Referring) -> Iterator[Ddl]:
    name = child.constraint.name
    if child.constraint.validated:
        step_id = _id(key, child, "let go", "undo", "validate")
        yield rules.validate(child.place(key, _CUTOVER), name, step_id, f"check every row for {name}", (key.relation,))


def _dropped(child: Referring, name: str) -> tuple[str, ...]:
    return text(
        sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(table(child.relation), sql.Identifier(name))
    )


def _locks(key: Rekeyed, child: Referring) -> tuple[Lock, ...]:
    return (
        *lock(child.relation, "ACCESS EXCLUSIVE"),
        *lock_parents(child.relation, (key.relation,), "ACCESS EXCLUSIVE"),
    )


def _id(key: Rekeyed, child: Referring, *parts: str) -> str:
    return key.id("of", str(child.relation), child.column, *parts)


def _bridge(key: Rekeyed, child: Referring) -> str:
    return child.own(key.migration, "bridge")


def _rule(key: Rekeyed, child: Referring) -> str:
    return child.own(key.migration, "follows")
