"""Unique rules and primary keys: their index is built concurrently, then made a constraint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import lock, names, table, text
from crossfade.steps.indexes import IndexForm, PartIndex, ask_whole, attach_part, build_one, names_of_parts
from crossfade.steps.indexes import attach as attached
from crossfade.steps.rules import Place, Rule, added, at_once, drop_constraint, not_null, renamed
from crossfade.steps.step import AnyStep, Check, Ddl, Relation


@dataclass(frozen=True)
class Key:
    """No two rows share the columns.

    nullable: those of a primary key that may be NULL yet. deferral: DEFERRABLE and so on.
    """

    columns: tuple[str, ...]
    primary: bool = False
    nulls_distinct: bool = True
    include: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    deferral: str = ""

    @property
    def word(self) -> str:
        return "PRIMARY KEY" if self.primary else "UNIQUE"

    @property
    def clause(self) -> sql.Composed:
        """As a table's definition has it."""
        nulls = "" if self.nulls_distinct else " NULLS NOT DISTINCT"
        return sql.SQL("{}{} ({}){} {}").format(
            trusted(self.word), trusted(nulls), names(self.columns), self._including, trusted(self.deferral)
        )

    @property
    def form(self) -> IndexForm:
        nulls = "" if self.nulls_distinct else " NULLS NOT DISTINCT"
        rest = sql.SQL("({}){}{}").format(names(self.columns), self._including, trusted(nulls))
        return IndexForm(unique=True, rest=rest)

    def using_index(self, on: Relation, index: str) -> sql.Composed:
        """The constraint over a built index, under its name."""
        return sql.SQL("ALTER TABLE {} ADD CONSTRAINT {n} {} USING INDEX {n} {}").format(
            table(on), trusted(self.word), trusted(self.deferral), n=sql.Identifier(index)
        )

    @property
    def _including(self) -> sql.Composable:
        return sql.SQL(" INCLUDE ({})").format(names(self.include)) if self.include else sql.SQL("")


def key_rule(place: Place, name: str, key: Key, *, subject: str, shown: str) -> Rule:
    """No two rows share the key; in the end the constraint is called `name`."""
    if place.new:
        statement = added(place, name, key.clause)
        return Rule((at_once(place, f"{subject}/unique", f"add {key.word} over {shown}", statement),))
    own = {on.relation: on.named("unique", subject) for on in (place, *map(place.of_part, place.parts or ()))}
    proofs = [
        not_null(place, column, lasting=column, subject=f"{subject}/{column}", shown=f"{place.relation}.{column}")
        for column in key.nullable
    ]
    proved = tuple(step for proof in proofs for step in proof.steps)
    asked = ask_duplicates(place, key, subject, shown)
    if place.parts is None:
        index = own[place.relation]
        build = key.form.create(index, place.relation, "CONCURRENTLY").as_string(None)
        built = build_one(place, place.id(subject, "unique", "build"), index, build, unique=True)
        # Its name is ours, and nobody's to know.
        built = built.model_copy(update={"title": f"build the unique index over {shown}"})
        constrained = _constrain(place, index, key, subject, shown, proofs)
        return Rule((asked, *proved, built, constrained), *renamed(place, index, name))
    lasting = names_of_parts(place, name)
    steps = _on_parts(place, own, key, subject, shown, proofs)
    return Rule((asked, *proved, *steps), _renamed_indexes(own, lasting), _renamed_indexes(lasting, own))


def ask_duplicates(place: Place, key: Key, subject: str, shown: str) -> Check:
    """A build that fails has cost the whole build."""
    held = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(name)) for name in key.columns)
    groups = sql.SQL("SELECT 1 FROM {} {} GROUP BY {} HAVING pg_catalog.count(*) > 1").format(
        place.sql, sql.SQL("WHERE {}").format(held) if key.nulls_distinct else sql.SQL(""), names(key.columns)
    )
    return Check(
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


def _constrain(place: Place, own: str, key: Key, subject: str, shown: str, proofs: list[Rule]) -> Ddl:
    """The columns are NOT NULL in the same transaction, which the proof makes instant."""
    unique = "unique index" if not key.primary else "index"
    dropped = drop_constraint(place, own, place.id(subject, "unique", "add", "undo"))
    nullable = tuple(statement for proof in reversed(proofs) for statement in proof.unfinish)
    return Ddl(
        id=place.id(subject, "unique", "add"),
        leg=place.leg,
        database=place.database,
        title=f"make the {unique} over {shown} a {'primary key' if key.primary else 'constraint'}",
        locks=lock(place.relation, "ACCESS EXCLUSIVE"),
        statements=(
            *(statement for proof in proofs for statement in proof.finish),
            *text(key.using_index(place.relation, own)),
        ),
        undo=(dropped.model_copy(update={"statements": (*dropped.statements, *nullable)}),),
        undo_title="drop the constraint",
    )


def _on_parts(
    place: Place, named: Mapping[Relation, str], key: Key, subject: str, shown: str, proofs: list[Rule]
) -> Iterator[AnyStep]:
    """ON ONLY the partitioned table, then partition by partition. named: the constraint of each."""
    own, step_id = named[place.relation], place.id(subject, "unique")
    drop = drop_constraint(place, own, "").statements
    if proofs:
        yield Ddl(
            id=f"{step_id}/not_null",
            leg=place.leg,
            database=place.database,
            title=f"make {', '.join(key.nullable)} of {place.relation} NOT NULL",
            locks=lock(place.relation, "ACCESS EXCLUSIVE"),
            statements=tuple(statement for proof in proofs for statement in proof.finish),
            undo=(
                Ddl(
                    id=f"{step_id}/not_null/undo",
                    leg=place.leg,
                    database=place.database,
                    title=f"let {', '.join(key.nullable)} of {place.relation} be NULL again",
                    locks=lock(place.relation, "ACCESS EXCLUSIVE"),
                    statements=tuple(statement for proof in reversed(proofs) for statement in proof.unfinish),
                ),
            ),
            undo_title="let them be NULL again",
        )

    def only(on: Relation, attach: tuple[str, ...]) -> Ddl:
        constrain = sql.SQL("ALTER TABLE ONLY {} ADD CONSTRAINT {} {}").format(
            table(on), sql.Identifier(named[on]), key.clause
        )
        undo = drop_constraint(place, own, f"{step_id}/only/{on}/undo")
        return Ddl(
            id=f"{step_id}/only/{on}",
            leg=place.leg,
            database=place.database,
            title=f"make {key.word} over {shown} ON ONLY {on}, to which those of its partitions are attached",
            locks=lock(on, "ACCESS EXCLUSIVE", alone=True),
            statements=(*text(constrain), *attach),
            undo=(undo.model_copy(update={"locks": lock(place.relation, "ACCESS EXCLUSIVE", alone=True)}),),
            undo_title="drop the constraint",
        )

    parts = [
        PartIndex(
            part,
            named[part.relation],
            named[part.of],
            key.form.create(named[part.relation], part.relation, "CONCURRENTLY").as_string(None),
        )
        for part in place.parts or ()
    ]
    yield only(place.relation, ())
    yield from (only(each.part.relation, text(attached(each))) for each in parts if not each.part.leaf)
    leaves = [each for each in parts if each.part.leaf]
    for each in leaves:
        on = place.of_part(each.part)
        yield build_one(on, f"{step_id}/{each.part.relation}", each.name, each.statement, unique=True)
    for each in leaves:
        constrain = text(key.using_index(each.part.relation, each.name))
        yield attach_part(place, f"{step_id}/{each.part.relation}", each, constrain, drop)
    yield ask_whole(place, step_id, own)


def _renamed_indexes(before: Mapping[Relation, str], after: Mapping[Relation, str]) -> tuple[str, ...]:
    """The name of a constraint is that of its index."""
    renamed = sql.SQL("ALTER INDEX {} RENAME TO {}")
    return text(
        *(renamed.format(sql.Identifier(on.schema_name, before[on]), sql.Identifier(after[on])) for on in before)
    )
