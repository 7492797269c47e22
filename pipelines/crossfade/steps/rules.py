"""Rules that rows must keep, added so that nobody waits for a scan: not null and check, and what all rules share.

A rule is added as NOT VALID (or built as an index concurrently), then validated. Until its migration is in
contract it bears a name that tells the migration, so that an old write it refuses says why; then it gets its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from crossfade.composing import sql
from crossfade.steps.compose import lock, lock_parents, names, table, text
from crossfade.steps.names import own_name
from crossfade.steps.step import AnyStep, Check, Ddl, Leg, Relation


@dataclass(frozen=True)
class Part:
    """A partition, at any depth. of: the table it is a partition of. leaf: it holds rows."""

    relation: Relation
    of: Relation
    leaf: bool

    @property
    def sql(self) -> sql.Identifier:
        return table(self.relation)


@dataclass(frozen=True)
class Place:
    """Where rules are added: by which migration, on which table, in which leg.

    new: the migration makes the table. It is empty, and no application knows it: a rule is added in one statement under
    its lasting name, and goes with the table when that is dropped again.
    """

    migration: str
    database: str
    relation: Relation
    key: tuple[str, ...]
    leg: Leg
    new: bool = False
    parts: tuple[Part, ...] | None = None

    @property
    def sql(self) -> sql.Identifier:
        return table(self.relation)

    def named(self, purpose: str, *subject: str) -> str:
        return own_name(self.migration, purpose, str(self.relation), *subject)

    def id(self, *parts: str) -> str:
        return "/".join((str(self.relation), *parts))

    def of_part(self, part: Part) -> Place:
        """The same on one partition."""
        return replace(self, relation=part.relation, parts=None)


@dataclass(frozen=True)
class Rule:
    """A rule under way: the steps that add it, and the statements that give it its lasting form and take that back.

    again: the steps that prove what `unfinish` leaves unproved, so that `finish` takes no scan the next time either.
    """

    steps: tuple[AnyStep, ...]
    finish: tuple[str, ...] = ()
    unfinish: tuple[str, ...] = ()
    again: tuple[AnyStep, ...] = ()


def not_null(place: Place, column: str, *, lasting: str, subject: str, shown: str) -> Rule:
    """`column` holds a value in every row, proved without a blocking scan.

    column: its name while the rule is added; lasting: its name when the rule is finished; subject: for the steps' ids;
    shown: for people.
    """
    if place.new:
        statement = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL").format(place.sql, sql.Identifier(column))
        return Rule((at_once(place, f"{subject}/not_null", f"make {shown} NOT NULL", statement),))
    name = place.named("not_null", subject, lasting)
    condition = sql.SQL("{} IS NOT NULL").format(sql.Identifier(column))
    add, proof = _checked(place, name, condition, f"{subject}/not_null", f"{shown} not null")
    asked = ask(place, f"{subject}/not_null", sql.SQL("NOT ({})").format(condition), f"rows without a value in {shown}")
    finish = text(
        sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL").format(place.sql, sql.Identifier(lasting)),
        sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(place.sql, sql.Identifier(name)),
    )
    unfinish = text(
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(
            place.sql, sql.Identifier(name), sql.SQL("{} IS NOT NULL").format(sql.Identifier(lasting))
        ),
        sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL").format(place.sql, sql.Identifier(lasting)),
    )
    again = validate(place, name, place.id(subject, "not_null", "again"), f"check every row for {shown} not null")
    return Rule((asked, add, proof), finish, unfinish, (again,))


def not_null_again(place: Place, column: str, *, subject: str, shown: str) -> tuple[AnyStep, ...]:
    """The undo of a NOT NULL that was taken away: rows without a value are counted first, then it is proved and set."""
    if place.new:
        return ()
    rule = not_null(place, column, lasting=column, subject=subject, shown=shown)
    asked, *proved = rule.steps
    return (
        asked.model_copy(update={"fix": "give these rows a value, then roll back again"}),
        *proved,
        Ddl(
            id=place.id(subject, "not_null", "set"),
            leg=place.leg,
            database=place.database,
            title=f"make {column} NOT NULL again",
            locks=lock(place.relation, "ACCESS EXCLUSIVE"),
            statements=rule.finish,
        ),
    )


def check(place: Place, name: str, condition: sql.Composable, *, subject: str, shown: str) -> Rule:
    """Every row keeps `condition`, whose columns stand bare; in the end it is called `name`."""
    if place.new:
        clause = sql.SQL("CHECK ({})").format(condition)
        return Rule((at_once(place, f"{subject}/check", f"add {shown}", added(place, name, clause)),))
    own = place.named("check", subject)
    add, proof = _checked(place, own, condition, f"{subject}/check", shown)
    offends = sql.SQL("({}) IS FALSE").format(condition)
    asked = ask(place, f"{subject}/check", offends, f"rows that break {shown}", alias=place.relation.name)
    return Rule((asked, add, proof), *renamed(place, own, name))


def added(place: Place, name: str, clause: sql.Composable) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(place.sql, sql.Identifier(name), clause)


def at_once(place: Place, subject: str, title: str, *statements: sql.Composable) -> Ddl:
    """What is done to a table that the migration has just made: nobody waits for it."""
    return Ddl(
        id=place.id(subject),
        leg=place.leg,
        database=place.database,
        title=title,
        statements=text(*statements),
        undo_title="goes with the table",
    )


def constrain(
    place: Place, name: str, statement: str, *, subject: str, shown: str, parents: Iterable[Relation] = ()
) -> tuple[Ddl, Ddl]:
    """Add a constraint by a ready NOT VALID statement, then validate it. parents: of a foreign key."""
    parents = tuple(parents)
    add = Ddl(
        id=place.id(subject, "add"),
        leg=place.leg,
        database=place.database,
        title=f"bind new rows to {shown}",
        locks=(
            # A check is no trigger: PostgreSQL lets nobody read while it comes.
            *lock(place.relation, "SHARE ROW EXCLUSIVE" if parents else "ACCESS EXCLUSIVE"),
            *lock_parents(place.relation, parents, "SHARE ROW EXCLUSIVE"),
        ),
        statements=(statement,),
        undo=(drop_constraint(place, name, place.id(subject, "add", "undo"), parents),),
        undo_title="drop the constraint",
    )
    return add, validate(place, name, place.id(subject, "validate"), f"check every row for {shown}", parents)


def _checked(place: Place, name: str, condition: sql.Composable, subject: str, shown: str) -> tuple[Ddl, Ddl]:
    statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(
        place.sql, sql.Identifier(name), condition
    )
    return constrain(place, name, statement.as_string(None), subject=subject, shown=shown)


def validate(place: Place, name: str, step_id: str, title: str, parents: Iterable[Relation] = ()) -> Ddl:
    return Ddl(
        id=step_id,
        leg=place.leg,
        database=place.database,
        title=title,
        locks=(*lock(place.relation, "SHARE UPDATE EXCLUSIVE"), *lock_parents(place.relation, parents, "ROW SHARE")),
        statements=text(sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(place.sql, sql.Identifier(name))),
        scans=True,
    )


def drop_constraint(place: Place, name: str, step_id: str, parents: Iterable[Relation] = ()) -> Ddl:
    """parents: of a foreign key."""
    return Ddl(
        id=step_id,
        leg=place.leg,
        database=place.database,
        title=f"drop constraint {name}",
        locks=(*lock(place.relation, "ACCESS EXCLUSIVE"), *lock_parents(place.relation, parents, "ACCESS EXCLUSIVE")),
        statements=text(sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(place.sql, sql.Identifier(name))),
    )


def renamed(place: Place, own: str, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    def rename(old: str, new: str) -> tuple[str, ...]:
        return text(
            sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}").format(
                place.sql, sql.Identifier(old), sql.Identifier(new)
            )
        )

    return rename(own, name), rename(name, own)


def ask(place: Place, subject: str, offends: sql.Composable, words: str, alias: str = "t") -> Check:
    """A check that counts the rows that would break the rule and names the first of them by key."""
    source = sql.SQL("{} AS {}").format(place.sql, sql.Identifier(alias))
    find = None
    if place.key:
        find = sql.SQL("SELECT {} FROM {} WHERE {} LIMIT 100").format(names(place.key, of=alias), source, offends)
    return Check(
        id=place.id(subject, "ask"),
        leg=place.leg,
        database=place.database,
        title=f"ask that there are no {words}",
        locks=lock(place.relation, "ACCESS SHARE"),
        query=sql.SQL("SELECT pg_catalog.count(*) AS {} FROM {} WHERE {}")
        .format(sql.Identifier(words), source, offends)
        .as_string(None),
        find=find.as_string(None) if find else None,
        fix="mend these rows (a spec with update_rows, or by hand), then run `crossfade up` again",
    )
