"""Rules that rows must keep: not null, check, unique, foreign key; added so that nobody waits for a scan.

A rule is added as NOT VALID (or built as an index concurrently), then validated. Until its migration is in
contract it bears a name that tells the migration, so that an old write it refuses says why; then it gets its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import equal, lock, lock_parents, names, table, text
from crossfade.steps.names import own_name
from crossfade.steps.step import AnyStep, BuildIndex, Check, Ddl, DropIndex, Leg, Relation


@dataclass(frozen=True)
class Place:
    """Where rules are added: by which migration, on which table, in which leg."""

    migration: str
    database: str
    relation: Relation
    key: tuple[str, ...]
    leg: Leg

    @property
    def sql(self) -> sql.Identifier:
        return table(self.relation)

    def named(self, purpose: str, *subject: str) -> str:
        return own_name(self.migration, purpose, str(self.relation), *subject)

    def id(self, *parts: str) -> str:
        return "/".join((str(self.relation), *parts))


@dataclass(frozen=True)
class Rule:
    """A rule under way: the steps that add it, and the statements that give it its lasting form and take that back."""

    steps: tuple[AnyStep, ...]
    finish: tuple[str, ...] = ()
    unfinish: tuple[str, ...] = ()


def not_null(place: Place, column: str, *, lasting: str, subject: str, shown: str) -> Rule:
    """`column` holds a value in every row, proved without a blocking scan.

    column: its name while the rule is added; lasting: its name when the rule is finished; subject: for the steps' ids;
    shown: for people.
    """
    name = place.named("not_null", subject, lasting)
    condition = sql.SQL("{} IS NOT NULL").format(sql.Identifier(column))
    add, validate = _checked(place, name, condition, f"{subject}/not_null", f"{shown} not null")
    asked = _ask(
        place, f"{subject}/not_null", sql.SQL("NOT ({})").format(condition), f"rows without a value in {shown}"
    )
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
    return Rule((asked, add, validate), finish, unfinish)


def not_null_again(place: Place, column: str, *, subject: str, shown: str) -> tuple[AnyStep, ...]:
    """The undo of a NOT NULL that was taken away: rows without a value are counted first, then it is proved and set."""
    rule = not_null(place, column, lasting=column, subject=subject, shown=shown)
    asked, *proved = rule.steps
    return (
        asked.model_copy(update={"fix": "give these rows a value, then roll back again"}),
        *proved,
        Ddl(
            id=place.id(subject, "not_null", "again"),
            leg=place.leg,
            database=place.database,
            title=f"make {column} NOT NULL again",
            locks=lock(place.relation, "ACCESS EXCLUSIVE"),
            statements=rule.finish,
        ),
    )


def check(place: Place, name: str, condition: sql.Composable, *, subject: str, shown: str) -> Rule:
    """Every row keeps `condition`, whose columns stand bare; in the end it is called `name`."""
    own = place.named("check", subject)
    add, validate = _checked(place, own, condition, f"{subject}/check", shown)
    offends = sql.SQL("({}) IS FALSE").format(condition)
    asked = _ask(place, f"{subject}/check", offends, f"rows that break {shown}", alias=place.relation.name)
    return Rule((asked, add, validate), *_renamed(place, own, name))


def unique(
    place: Place, name: str, columns: tuple[str, ...], *, subject: str, shown: str, nulls_distinct: bool = True
) -> Rule:
    """No two rows share the columns; built concurrently, then a constraint over the built index."""
    own = place.named("unique", subject)
    cols = names(columns)
    held = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(column)) for column in columns)
    groups = sql.SQL("SELECT 1 FROM {} {} GROUP BY {} HAVING pg_catalog.count(*) > 1").format(
        place.sql, sql.SQL("WHERE {}").format(held) if nulls_distinct else sql.SQL(""), cols
    )
    asked = Check(
        id=place.id(subject, "unique", "ask"),
        leg=place.leg,
        database=place.database,
        title=f"ask that no two rows share {shown}",
        locks=lock(place.relation, "ACCESS SHARE"),
        query=sql.SQL("SELECT pg_catalog.count(*) AS {} FROM ({}) AS duplicates")
        .format(sql.Identifier(f"values of {shown} that stand in more than one row"), groups)
        .as_string(None),
        fix="make the rows differ or merge them (a spec with update_rows, or by hand), then run `crossfade up` again",
    )
    built = BuildIndex(
        id=place.id(subject, "unique", "build"),
        leg=place.leg,
        database=place.database,
        title=f"build the unique index over {shown}",
        locks=lock(place.relation, "SHARE UPDATE EXCLUSIVE"),
        relation=place.relation,
        index=own,
        unique=True,
        statement=sql.SQL("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({}){}")
        .format(sql.Identifier(own), place.sql, cols, sql.SQL("" if nulls_distinct else " NULLS NOT DISTINCT"))
        .as_string(None),
        undo=(drop_index(place, own, place.id(subject, "unique", "build", "undo")),),
        undo_title="drop the index",
    )
    constrained = Ddl(
        id=place.id(subject, "unique", "add"),
        leg=place.leg,
        database=place.database,
        title=f"make the unique index over {shown} a constraint",
        locks=lock(place.relation, "ACCESS EXCLUSIVE"),
        statements=text(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {n} UNIQUE USING INDEX {n}").format(place.sql, n=sql.Identifier(own))
        ),
        undo=(drop_constraint(place, own, place.id(subject, "unique", "add", "undo")),),
        undo_title="drop the constraint",
    )
    return Rule((asked, built, constrained), *_renamed(place, own, name))


def foreign_key(
    place: Place,
    name: str,
    columns: tuple[str, ...],
    parent: Relation,
    referenced: tuple[str, ...],
    *,
    types: tuple[str, ...],
    actions: str,
    subject: str,
) -> Rule:
    """Every value stands in the parent.

    types: of the parent's columns. actions: the tail of the clause, as parsed and deparsed.
    """
    own = place.named("fkey", subject)
    shown = f"{place.relation} ({', '.join(columns)})"
    held = sql.SQL(" AND ").join(sql.SQL("c.{} IS NOT NULL").format(sql.Identifier(column)) for column in columns)
    same = sql.SQL(" AND ").join(
        equal(type_, sql.Identifier("p", there), sql.Identifier("c", here))
        for here, there, type_ in zip(columns, referenced, types, strict=True)
    )
    orphan = sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})").format(held, table(parent), same)
    asked = _ask(place, f"{subject}/fkey", orphan, f"rows of {shown} without a row in {parent}", alias="c")
    add = Ddl(
        id=place.id(subject, "fkey", "add"),
        leg=place.leg,
        database=place.database,
        title=f"bind new rows of {shown} to {parent}",
        locks=(
            *lock(place.relation, "SHARE ROW EXCLUSIVE"),
            *lock_parents(place.relation, (parent,), "SHARE ROW EXCLUSIVE"),
        ),
        statements=text(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) {} NOT VALID").format(
                place.sql, sql.Identifier(own), names(columns), table(parent), names(referenced), trusted(actions)
            )
        ),
        undo=(drop_constraint(place, own, place.id(subject, "fkey", "add", "undo"), (parent,)),),
        undo_title="drop the constraint",
    )
    validate = _validate(
        place,
        own,
        place.id(subject, "fkey", "validate"),
        f"check every row of {shown} against {parent}",
        (parent,),
    )
    return Rule((asked, add, validate), *_renamed(place, own, name))


def drop_index(place: Place, index: str, step_id: str) -> DropIndex:
    return DropIndex(
        id=step_id,
        leg=place.leg,
        database=place.database,
        title=f"drop index {index}",
        locks=lock(place.relation, "SHARE UPDATE EXCLUSIVE"),
        relation=place.relation,
        index=index,
    )


def constrain(
    place: Place, name: str, statement: str, *, subject: str, shown: str, parents: Iterable[Relation] = ()
) -> tuple[Ddl, Ddl]:
    """Add a constraint by a ready NOT VALID statement, then validate it. parents: of a foreign key."""
    add = Ddl(
        id=place.id(subject, "add"),
        leg=place.leg,
        database=place.database,
        title=f"bind new rows to {shown}",
        locks=(
            *lock(place.relation, "ACCESS EXCLUSIVE"),
            *lock_parents(place.relation, parents, "SHARE ROW EXCLUSIVE"),
        ),
        statements=(statement,),
        undo=(drop_constraint(place, name, place.id(subject, "add", "undo"), parents),),
        undo_title="drop the constraint",
    )
    return add, _validate(place, name, place.id(subject, "validate"), f"check every row for {shown}", parents)


def _checked(place: Place, name: str, condition: sql.Composable, subject: str, shown: str) -> tuple[Ddl, Ddl]:
    statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(
        place.sql, sql.Identifier(name), condition
    )
    return constrain(place, name, statement.as_string(None), subject=subject, shown=shown)


def _validate(place: Place, name: str, step_id: str, title: str, parents: Iterable[Relation] = ()) -> Ddl:
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


def _renamed(place: Place, own: str, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    def rename(old: str, new: str) -> tuple[str, ...]:
        return text(
            sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}").format(
                place.sql, sql.Identifier(old), sql.Identifier(new)
            )
        )

    return rename(own, name), rename(name, own)


def _ask(place: Place, subject: str, offends: sql.Composable, words: str, alias: str = "t") -> Check:
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
