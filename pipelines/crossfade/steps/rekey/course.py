"""The steps by which a table gets its new key: a column that is filled, an index that waits, and the change of keys.

A primary key cannot be made a plain index again, so on either side an index waits to become it: that of the new key
until cutover, a spare one of the old key from then on. It keeps the old key unique as long as its columns are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import carry, definitions, rules
from crossfade.steps.compose import any_leaf, in_batch, lock, per_leaf, text
from crossfade.steps.indexes import build_one, drop_index
from crossfade.steps.rekey import counting, lookup, referring
from crossfade.steps.rekey.tables import Rekeyed
from crossfade.steps.rules import Rule
from crossfade.steps.step import BACKFILL, EXPAND, VALIDATE, AnyStep, BuildIndex, Ddl, Leg, Walk, stage_leg

_CUTOVER, _ARCHIVE, _DROP = stage_leg("cutover"), stage_leg("archive"), stage_leg("drop")


def steps(key: Rekeyed, unique_name: str) -> Iterator[AnyStep]:
    """In order within each leg. unique_name: of the old key's index, where that stays."""
    yield _add(key)
    if key.children:
        yield _find_by_key(key, EXPAND)
    if key.late:
        yield _adopt(key)
    yield _fill(key)
    yield from _required(key).steps
    yield _build(key, VALIDATE, "new")
    yield _build(key, VALIDATE, "spare")
    for child in key.children:
        yield from referring.made(key, child)
    if key.children:
        yield _find_no_more(key)
        yield _follow(key)
    for child in key.children:
        yield from referring.let_go(key, child)
    yield _change_over(key)
    if key.late:
        yield _adopt_no_more(key)
    for child in key.children:
        yield from referring.required_late(key, child)
        yield from referring.end(key, child)
    yield _end(key, unique_name)


def _add(key: Rekeyed) -> Ddl:
    column, default = sql.Identifier(key.column), counting.default(key)
    made: list[sql.Composable] = []
    if key.type == "bigint":
        # Who inserts a row draws from it, and need have no right on it once it is an identity.
        made += [
            sql.SQL("CREATE SEQUENCE {} AS bigint").format(counting.counter(key)),
            sql.SQL("GRANT USAGE ON SEQUENCE {} TO PUBLIC").format(counting.counter(key)),
        ]
    made.append(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(key.sql, column, trusted(key.type)))
    # Apart from the column, or PostgreSQL would rewrite the table.
    made.append(sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(key.sql, column, default))
    return Ddl(
        id=key.id("add"),
        leg=EXPAND,
        database=key.database,
        title=f"add the new key {key.column} to {key.relation}: rows that come have one, others are filled",
        locks=lock(key.relation, "ACCESS EXCLUSIVE"),
        statements=text(*made, *lookup.made(key)),
        undo=(
            Ddl(
                id=key.id("add", "undo"),
                leg=EXPAND,
                database=key.database,
                title=f"drop {key.column} of {key.relation}",
                locks=lock(key.relation, "ACCESS EXCLUSIVE"),
                statements=text(
                    *lookup.dropped(key),
                    sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(key.sql, column),
                    sql.SQL("DROP SEQUENCE IF EXISTS {}").format(counting.counter(key)),
                ),
            ),
        ),
        undo_title="drop the column",
    )


def _find_by_key(key: Rekeyed, leg: Leg, *more: str) -> BuildIndex:
    """Over rows that have a key: small as long as few have, and no key for PostgreSQL, which would lock rows that are
    filled against those who refer to them.
    """
    name = key.own("find")
    statement = sql.SQL("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({c}) WHERE {c} IS NOT NULL").format(
        sql.Identifier(name), key.sql, c=sql.Identifier(key.column)
    )
    built = build_one(key.place(leg), key.id("find", *more), name, statement.as_string(None), unique=True)
    title = f"build an index by which rows of {key.relation} are found that have the new key"
    return built.model_copy(update={"title": title})


def _find_no_more(key: Rekeyed) -> AnyStep:
    """The whole index does it from now on."""
    dropped = drop_index(key.place(VALIDATE), key.own("find"), key.id("find", "end"))
    again = _find_by_key(key, VALIDATE, "end", "undo").model_copy(update={"undo": ()})
    return dropped.model_copy(update={"undo": (again,), "undo_title": "build it again"})


def _fill(key: Rekeyed) -> Walk:
    column = sql.Identifier(key.column)
    in_range = sql.SQL("{} AND t.{} IS NULL").format(in_batch("t"), column)
    written = sql.SQL("{} = {}").format(column, counting.default(key))
    batch = sql.SQL(
        """
WITH batch AS MATERIALIZED (
  SELECT t.ctid FROM {leaf} AS t WHERE {in_range} FOR NO KEY UPDATE SKIP LOCKED)
UPDATE {leaf} AS t SET {written} FROM batch
 WHERE t.ctid = batch.ctid AND {still}"""
    ).format(leaf=any_leaf(), in_range=in_range, written=written, still=in_batch("t"))
    return Walk(
        id=key.id("fill"),
        leg=BACKFILL,
        database=key.database,
        title=f"give the rows of {key.relation} their new key {key.column}",
        locks=lock(key.relation, "ROW EXCLUSIVE"),
        undo_title="the new keys go with their column",
        relation=key.relation,
        batch=per_leaf(batch),
        waiting=per_leaf(sql.SQL("UPDATE {} AS t SET {} WHERE {}").format(any_leaf(), written, in_range)),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE t.{} IS NULL")
        .format(key.sql, column)
        .as_string(None),
        pending_rows=per_leaf(sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {}").format(any_leaf(), in_range)),
        silent=key.silent,
        writes=(key.column,),
    )


def _required(key: Rekeyed) -> Rule:
    shown = f"{key.relation}.{key.column}"
    return rules.not_null(key.place(VALIDATE), key.column, lasting=key.column, subject=key.column, shown=shown)


def _build(key: Rekeyed, leg: Leg, what: str, *more: str) -> BuildIndex:
    """what: `new`, the index that waits to be the primary key; or `spare`, that of the old key."""
    place, step_id, name = key.place(leg), key.id(what, *more), key.own(what)
    if what == "new":
        statement = sql.SQL("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({})").format(
            sql.Identifier(name), key.sql, sql.Identifier(key.column)
        )
        built = build_one(place, step_id, name, statement.as_string(None), unique=True)
        return built.model_copy(update={"title": f"build an index for the new primary key of {key.relation}"})
    statement = definitions.carried_index(key.index, name=name, columns={})
    built = build_one(place, step_id, name, statement, unique=True)
    return built.model_copy(update={"title": f"build an index that keeps the old key of {key.relation} unique"})


def _adopt(key: Rekeyed) -> Ddl:
    """In backfill, when the tables that refer have their columns."""
    title = f"map rows that come before the one of {key.relation} they refer to when it comes"
    forth, back = lookup.adopt(key, retired=False), lookup.adopt_no_more(key)
    return _triggered(key, BACKFILL, "adopt", title, forth, back)


def _adopt_no_more(key: Rekeyed) -> Ddl:
    on = partial(Ddl, leg=_ARCHIVE, database=key.database)
    return on(
        id=key.id("adopt", "end"),
        title=f"drop the trigger by which {key.relation} maps what came before",
        locks=lock(key.relation, "ACCESS EXCLUSIVE"),
        statements=text(*lookup.adopt_no_more(key)),
        undo=(
            on(
                id=key.id("adopt", "end", "undo"),
                title=f"let {key.relation} map what came before again (trigger)",
                locks=lock(key.relation, "SHARE ROW EXCLUSIVE"),
                statements=text(*lookup.adopt(key, retired=True)),
            ),
        ),
        undo_title="make it again",
    )


def _follow(key: Rekeyed) -> Ddl:
    title = f"let what refers to {key.relation} follow its old key"
    return _triggered(key, _CUTOVER, "follow", title, lookup.follow(key), lookup.follow_no_more(key))


def _triggered(
    key: Rekeyed, leg: Leg, subject: str, title: str, forth: Iterable[sql.Composable], back: Iterable[sql.Composable]
) -> Ddl:
    on = partial(Ddl, leg=leg, database=key.database)
    return on(
        id=key.id(subject),
        title=f"{title} (trigger)",
        locks=lock(key.relation, "SHARE ROW EXCLUSIVE"),
        statements=text(*forth),
        undo=(
            on(
                id=key.id(subject, "undo"),
                title=f"drop that trigger of {key.relation}",
                locks=lock(key.relation, "ACCESS EXCLUSIVE"),
                statements=text(*back),
            ),
        ),
        undo_title="drop the trigger",
    )


def _change_over(key: Rekeyed) -> Ddl:
    required, name = _required(key), sql.Identifier(key.constraint.name)
    drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(key.sql, name)
    add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}")
    spare, new = sql.Identifier(key.own("spare")), sql.Identifier(key.own("new"))
    forth = (
        *text(drop),
        *required.finish,
        *text(
            add.format(key.sql, name, new),
            *carry.told_of_constraint(key.sql, key.constraint, key.constraint.name),
            *counting.by_itself(key),
        ),
    )
    back = (
        *text(*counting.by_default(key), drop),
        *required.unfinish,
        *text(add.format(key.sql, name, spare), *carry.told_of_index(key.table, key.index, key.constraint.name)),
    )
    again = (
        *required.again,
        _build(key, _CUTOVER, "new", "again"),
        _build(key, _CUTOVER, "spare", "again"),
        *(step for child in key.children for step in referring.made_again(key, child)),
    )
    return Ddl(
        id=key.id("change over"),
        leg=_CUTOVER,
        database=key.database,
        title=f"make {key.column} the primary key of {key.relation}",
        locks=lock(key.relation, "ACCESS EXCLUSIVE"),
        statements=forth,
        undo=(
            *(referring.bound_back(key, child) for child in key.children),
            Ddl(
                id=key.id("change over", "undo"),
                leg=_CUTOVER,
                database=key.database,
                title=f"make {', '.join(key.constraint.columns)} the primary key of {key.relation} again",
                locks=lock(key.relation, "ACCESS EXCLUSIVE"),
                statements=back,
            ),
            *(step.model_copy(update={"leg": _CUTOVER, "for_going_on": True, "undo": ()}) for step in again),
        ),
        undo_title="change back at once: the old key was kept unique",
    )


def _end(key: Rekeyed, unique_name: str) -> Ddl:
    """Old keys are followed no more; what stays of them gets its lasting name."""
    rename = sql.SQL("ALTER INDEX {} RENAME TO {}")
    own, schema = key.own("spare"), key.table.name.schema
    forth = [*lookup.follow_no_more(key), *lookup.dropped(key)] if key.children else []
    back: list[sql.Composable] = []
    if key.stays_unique:
        forth.append(rename.format(sql.Identifier(schema, own), sql.Identifier(unique_name)))
        back.append(rename.format(sql.Identifier(schema, unique_name), sql.Identifier(own)))
    for_good = bool(key.children) or not key.stays_unique
    title = f"follow the old key of {key.relation} no more" if key.children else f"let the old key of {key.relation} be"
    undo = Ddl(
        id=key.id("end", "undo"),
        leg=_DROP,
        database=key.database,
        title=f"take the name of index {unique_name} away",
        locks=lock(key.relation, "SHARE UPDATE EXCLUSIVE"),
        statements=text(*back),
    )
    return Ddl(
        id=key.id("end"),
        leg=_DROP,
        database=key.database,
        title=title,
        locks=lock(key.relation, "ACCESS EXCLUSIVE"),
        statements=text(*forth),
        undo=() if for_good else (undo,),
        undo_title="no row that came since has an old key" if for_good else "rename it back",
        irreversible=for_good,
    )
