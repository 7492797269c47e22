"""Indexes built beside live traffic: concurrently, and on a partitioned table one partition after the other.

PostgreSQL builds none on a partitioned table concurrently. So it is made there ON ONLY, invalid, which partitions that
come from then on follow by themselves; the index of each partition is built concurrently and attached; with the last of
them the whole is valid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from crossfade.composing import sql
from crossfade.spec.values import LONGEST_NAME
from crossfade.steps.compose import lock, table, text
from crossfade.steps.rules import Part, Place, at_once
from crossfade.steps.step import AnyStep, BuildIndex, Check, Ddl, DropIndex, Relation

_WITHOUT = """
SELECT p.relid FROM pg_catalog.pg_partition_tree({table}::regclass) AS p
 WHERE p.isleaf AND p.relid::oid NOT IN (
       SELECT i.indrelid FROM pg_catalog.pg_partition_tree({index}::regclass) AS t
         JOIN pg_index AS i ON i.indexrelid = t.relid::oid WHERE t.isleaf AND i.indisvalid)"""


@dataclass(frozen=True)
class IndexForm:
    """An index as it shall be but for its name and its table. rest: what stands behind the table's name."""

    unique: bool
    rest: sql.Composable

    def create(self, name: str, on: Relation, how: Literal["CONCURRENTLY", "ONLY", "plainly"]) -> sql.Composed:
        return sql.SQL("CREATE {}INDEX {}{} ON {}{} {}").format(
            sql.SQL("UNIQUE " if self.unique else ""),
            sql.SQL("CONCURRENTLY " if how == "CONCURRENTLY" else ""),
            sql.Identifier(name),
            sql.SQL("ONLY " if how == "ONLY" else ""),
            table(on),
            self.rest,
        )


@dataclass(frozen=True)
class PartIndex:
    """The index of a partition. of: that of the table it is a partition of."""

    part: Part
    name: str
    of: str
    statement: str


def build_index(place: Place, name: str, form: IndexForm) -> tuple[AnyStep, ...]:
    """The index, in the leg of the place."""
    if place.new:
        create = form.create(name, place.relation, "plainly")
        return (at_once(place, f"index/{name}", f"make index {name} on {place.relation}", create),)
    if place.parts is None:
        create = form.create(name, place.relation, "CONCURRENTLY")
        return (build_one(place, place.id("index", name), name, create.as_string(None), unique=form.unique),)
    root = form.create(name, place.relation, "ONLY").as_string(None)
    return tuple(build_parts(place, place.id("index", name), name, root, _parts(place, name, form), form.unique))


def build_one(place: Place, step_id: str, name: str, statement: str, *, unique: bool) -> BuildIndex:
    """statement: with CONCURRENTLY."""
    return BuildIndex(
        id=step_id,
        leg=place.leg,
        database=place.database,
        title=f"build index {name} on {place.relation}",
        locks=lock(place.relation, "SHARE UPDATE EXCLUSIVE"),
        relation=place.relation,
        index=name,
        unique=unique,
        statement=statement.strip(),
        undo=(drop_index(place, name, f"{step_id}/undo"),),
        undo_title="drop the index",
    )


def build_parts(
    place: Place, step_id: str, name: str, root: str, parts: Iterable[PartIndex], unique: bool
) -> Iterator[AnyStep]:
    """root: the statement ON ONLY the partitioned table."""
    found = tuple(parts)
    yield _only(place, step_id, place.relation, (root,), name)
    for each in found:
        if not each.part.leaf:
            statements = (each.statement, *text(attach(each)))
            yield _only(place, f"{step_id}/{each.part.relation}", each.part.relation, statements, name)
    leaves = [each for each in found if each.part.leaf]
    for each in leaves:
        on = place.of_part(each.part)
        yield build_one(on, f"{step_id}/{each.part.relation}", each.name, each.statement, unique=unique)
    for each in leaves:
        yield attach_part(place, f"{step_id}/{each.part.relation}", each, (), text(_drop(place, name)))
    yield ask_whole(place, step_id, name)


def attach_part(place: Place, step_id: str, each: PartIndex, before: tuple[str, ...], undo: tuple[str, ...]) -> Ddl:
    """before: statements that make it ready. undo: what takes the index with all that is attached away."""
    return Ddl(
        id=f"{step_id}/attach",
        leg=place.leg,
        database=place.database,
        title=f"make it a part of index {each.of}",
        locks=lock(each.part.relation, "ACCESS EXCLUSIVE"),
        statements=(*before, *text(attach(each))),
        undo=(_undo(place, f"{step_id}/attach/undo", undo, each.of),),
        undo_title="drop the whole index: a part cannot be taken out of it",
    )


def ask_whole(place: Place, step_id: str, name: str) -> Check:
    """Answered by the catalog alone: a partition that came before the index was made ON ONLY has none."""
    qualified = sql.Literal(sql.Identifier(place.relation.schema_name, name).as_string(None))
    missing = sql.SQL(_WITHOUT).format(table=sql.Literal(place.sql.as_string(None)), index=qualified)
    words = f"partitions without a valid part of index {name}"
    return Check(
        id=f"{step_id}/whole",
        leg=place.leg,
        database=place.database,
        title=f"ask that every partition of {place.relation} has its part of index {name}",
        query=sql.SQL("SELECT pg_catalog.count(*) AS {} FROM ({}) AS missing")
        .format(sql.Identifier(words), missing)
        .as_string(None),
        find=missing.as_string(None).strip(),
        fix="they came after the plan was made: build the same index on each of them concurrently and attach it (ALTER"
        f" INDEX {name} ATTACH PARTITION ...), then run `crossfade up` again; or roll back and begin anew",
    )


def attach(each: PartIndex) -> sql.Composed:
    """Nothing is done where it is attached already."""
    return sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
        sql.Identifier(each.part.of.schema_name, each.of), sql.Identifier(each.part.relation.schema_name, each.name)
    )


def part_name(part: Relation, name: str) -> str:
    """What the part of an index is called: cut, it stays unique by the hash of the whole."""
    whole = f"{part.name}_{name}"
    if len(whole.encode()) <= LONGEST_NAME:
        return whole
    tail = f"_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    return whole.encode()[: LONGEST_NAME - len(tail)].decode(errors="ignore") + tail


def names_of_parts(place: Place, name: str) -> dict[Relation, str]:
    """The table and its partitions, each with what its part of the index is called."""
    named = {part.relation: part_name(part.relation, name) for part in place.parts or ()}
    return {place.relation: name, **named}


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


def _parts(place: Place, name: str, form: IndexForm) -> Iterator[PartIndex]:
    named = names_of_parts(place, name)
    for part in place.parts or ():
        own = named[part.relation]
        create = form.create(own, part.relation, "CONCURRENTLY" if part.leaf else "ONLY")
        yield PartIndex(part, own, named[part.of], create.as_string(None))


def _only(place: Place, step_id: str, on: Relation, statements: tuple[str, ...], name: str) -> Ddl:
    """name: of the whole index, with which its parts go."""
    return Ddl(
        id=step_id if on == place.relation else f"{step_id}/only",
        leg=place.leg,
        database=place.database,
        title=f"make index {name} ON ONLY {on}, to which those of its partitions are attached",
        locks=lock(on, "SHARE" if on == place.relation else "ACCESS EXCLUSIVE", alone=True),
        statements=tuple(statement.strip() for statement in statements),
        undo=(_undo(place, f"{step_id}/only/undo", text(_drop(place, name)), name),),
        undo_title="drop the index",
    )


def _drop(place: Place, name: str) -> sql.Composed:
    return sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(place.relation.schema_name, name))


def _undo(place: Place, step_id: str, statements: tuple[str, ...], name: str) -> Ddl:
    return Ddl(
        id=step_id,
        leg=place.leg,
        database=place.database,
        title=f"drop index {name} of {place.relation} with its parts",
        locks=lock(place.relation, "ACCESS EXCLUSIVE", alone=True),
        statements=statements,
    )
