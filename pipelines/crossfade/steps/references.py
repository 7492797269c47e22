"""Foreign keys: bound NOT VALID, then proved under a lock that lets reads and writes go on.

PostgreSQL takes none NOT VALID on a partitioned table (before 18). So each partition is bound and proved by itself, and
the key of the whole, which takes these over, finds nothing left to scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import equal, lock, lock_parents, names, table, text
from crossfade.steps.plpgsql import quoted
from crossfade.steps.rules import Place, Rule, added, ask, drop_constraint, renamed, validate
from crossfade.steps.step import AnyStep, Ddl, Guard, Relation

_UNPROVED = """
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree({table}::regclass) AS p
 WHERE p.isleaf AND pg_catalog.pg_relation_size(p.relid) > 0 AND NOT EXISTS (
       SELECT FROM pg_constraint AS k
        WHERE k.conrelid = p.relid::oid AND k.conname = {name}::name AND k.contype = 'f' AND k.convalidated))"""


# Partitions that came meanwhile have it under the same name.
_RENAME = """
DECLARE held regclass;
BEGIN
  FOR held IN
    SELECT k.conrelid::regclass FROM pg_constraint AS k
      JOIN pg_catalog.pg_partition_tree({table}::regclass) AS p ON p.relid::oid = k.conrelid
     WHERE k.contype = 'f' AND k.conname = {old}::name
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', held, {old}::name, {new}::name);
  END LOOP;
END"""


@dataclass(frozen=True)
class ReferringKey:
    """A foreign key as it shall be.

    columns: its own, as they are called at the moment. types: of the columns referenced. tail: what stands behind them.
    full: MATCH FULL. locked: the parent was there before the migration, and others use it.
    """

    columns: tuple[str, ...]
    parent: Relation
    referenced: tuple[str, ...]
    types: tuple[str, ...]
    tail: str
    full: bool = False
    locked: bool = True

    @property
    def clause(self) -> sql.Composed:
        return sql.SQL("FOREIGN KEY ({}) REFERENCES {} ({}) {}").format(
            names(self.columns), table(self.parent), names(self.referenced), trusted(self.tail)
        )

    @property
    def parents(self) -> tuple[Relation, ...]:
        """Those that are locked when it comes and goes."""
        return (self.parent,) if self.locked else ()

    @property
    def orphan(self) -> sql.Composed:
        """A row `c` that breaks it."""
        columns = [sql.Identifier("c", column) for column in self.columns]
        held = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(column) for column in columns)
        same = sql.SQL(" AND ").join(
            equal(type_, sql.Identifier("p", there), here)
            for here, there, type_ in zip(columns, self.referenced, self.types, strict=True)
        )
        alone = sql.SQL("({} AND NOT EXISTS (SELECT FROM {} AS p WHERE {}))").format(held, table(self.parent), same)
        if not self.full or len(columns) == 1:
            return alone
        some = sql.SQL(" OR ").join(sql.SQL("{} IS NOT NULL").format(column) for column in columns)
        return sql.SQL("({} OR (({}) AND NOT ({})))").format(alone, some, held)


def foreign_key(place: Place, name: str, key: ReferringKey, *, subject: str) -> Rule:
    """Every value stands in the parent; in the end the constraint is called `name`."""
    shown = f"{place.relation} ({', '.join(key.columns)})"
    if place.new:
        return Rule((_bind(place, name, key, f"{subject}/fkey", shown, proved=True),))
    own = place.named("fkey", subject)
    words = f"rows of {shown} without a row in {key.parent}"
    asked = ask(place, f"{subject}/fkey", key.orphan, words, alias="c")
    if place.parts is None:
        proof = validate(
            place,
            own,
            place.id(subject, "fkey", "validate"),
            f"check every row of {shown} against {key.parent}",
            key.parents,
        )
        bound = _bind(place, own, key, f"{subject}/fkey", shown)
        return Rule((asked, bound, proof), *renamed(place, own, name))
    steps = _on_parts(place, own, key, subject, shown)
    return Rule((asked, *steps), _renamed_everywhere(place, own, name), _renamed_everywhere(place, name, own))


def _bind(place: Place, name: str, key: ReferringKey, subject: str, shown: str, *, proved: bool = False) -> Ddl:
    """proved: nothing is to be scanned for it."""
    statement = sql.SQL("{}{}").format(added(place, name, key.clause), sql.SQL("" if proved else " NOT VALID"))
    return Ddl(
        id=place.id(subject, "add"),
        leg=place.leg,
        database=place.database,
        title=f"bind new rows of {shown} to {key.parent}",
        locks=(
            *(() if place.new else lock(place.relation, "SHARE ROW EXCLUSIVE")),
            *lock_parents(place.relation, key.parents, "SHARE ROW EXCLUSIVE"),
        ),
        statements=text(statement),
        undo=(drop_constraint(place, name, place.id(subject, "add", "undo"), key.parents),),
        undo_title="drop the constraint",
    )


def _on_parts(place: Place, own: str, key: ReferringKey, subject: str, shown: str) -> Iterator[AnyStep]:
    for on in _leaves(place):
        each = f"{on.relation} ({', '.join(key.columns)})"
        yield _bind(on, own, key, f"{subject}/fkey", each)
        title = f"check every row of {each} against {key.parent}"
        yield validate(on, own, on.id(subject, "fkey", "validate"), title, key.parents)
    whole = _bind(place, own, key, f"{subject}/fkey", shown, proved=True)
    proved = sql.SQL(_UNPROVED).format(table=sql.Literal(place.sql.as_string(None)), name=sql.Literal(own))
    yield whole.model_copy(
        update={
            "title": f"make the foreign keys of its partitions one of {shown}",
            "guards": (
                Guard(
                    query=proved.as_string(None).strip(),
                    refusal="a partition with rows came after the plan was made, and nothing proves its rows",
                    why="PostgreSQL would scan it while nobody can write",
                    fix=f"add the foreign key to that partition under the name {own}, NOT VALID, validate it, and run"
                    " `crossfade up` again; or roll back and begin anew",
                ),
            ),
        }
    )


def _renamed_everywhere(place: Place, old: str, new: str) -> tuple[str, ...]:
    body = sql.SQL(_RENAME).format(
        table=sql.Literal(place.sql.as_string(None)), old=sql.Literal(old), new=sql.Literal(new)
    )
    return text(sql.SQL("DO {}").format(quoted(body)))


def _leaves(place: Place) -> Iterator[Place]:
    return (place.of_part(part) for part in place.parts or () if part.leaf)
