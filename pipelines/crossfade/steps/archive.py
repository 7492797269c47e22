"""The end of the old side: sync ends, old values are kept aside by key, old columns go; and how they come back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps import carry, replaced_key
from crossfade.steps.agreement import agrees, comparable, pair_agrees
from crossfade.steps.compose import any_leaf, in_batch, lock, lock_parents, names, per_leaf, same_key, text
from crossfade.steps.left import nothing_left
from crossfade.steps.mirror import course as mirrored
from crossfade.steps.rows import Pair, Sides
from crossfade.steps.step import AnyStep, Check, Ddl, Walk, stage_leg
from crossfade.steps.sync import install_sync, remove_sync
from crossfade.steps.tuning import Tuning

_ARCHIVE, _DROP = stage_leg("archive"), stage_leg("drop")


def steps(sides: Sides) -> Iterator[AnyStep]:
    """Steps of the archive and drop stages."""
    if sides.synced:
        yield _end_sync(sides)
    for mirror in sides.mirrors_at("retired"):
        yield from mirrored.archive(mirror, silent=sides.silent)
    if keeps_values(sides):
        yield _create(sides)
        yield _copy(sides)
    if sides.leaving:
        yield nothing_left(sides, _DROP)
        yield _drop(sides)


def keeps_values(sides: Sides) -> bool:
    """Old values are copied aside: the spec wants it, no new column has them, and a key tells the rows apart."""
    return sides.keep is not None and bool(sides.key) and bool(sides.parting)


def _stored(sides: Sides) -> sql.Identifier:
    return sql.Identifier("crossfade", sides.own("archive"))


def _hidden(sides: Sides, columns: Iterable[str]) -> tuple[str, ...]:
    return tuple(sides.hidden(name) for name in columns)


def _known(sides: Sides) -> sql.Composable:
    """The old side of the row `t` is what it should be: true where every row was filled, else not false."""
    wanted = sql.SQL("IS TRUE" if sides.filled else "IS NOT FALSE")
    return sql.SQL("t.{} {}").format(sql.Identifier(sides.marker), wanted)


def _end_sync(sides: Sides) -> Ddl:
    # Rows that come after the end are marked by the default: nobody makes an old side for them.
    if sides.leaving:
        marker_goes = text(sides.alter("ALTER COLUMN {} SET DEFAULT {}", sides.marker, sides.unknown))
        marker_comes = text(sides.alter("ALTER COLUMN {} DROP DEFAULT", sides.marker))
    else:
        marker_goes = text(sides.alter("DROP COLUMN IF EXISTS {}", sides.marker))
        marker_comes = text(sides.alter("ADD COLUMN IF NOT EXISTS {} boolean", sides.marker), sides.explain_marker())
    return Ddl(
        id=sides.id("sync", "end"),
        leg=_ARCHIVE,
        database=sides.database,
        title=f"end the sync of {sides.relation}",
        locks=lock(sides.relation, "ACCESS EXCLUSIVE"),
        statements=(*remove_sync(sides), *marker_goes),
        undo=(
            *_ask_fits(sides),
            Ddl(
                id=sides.id("sync", "end", "undo"),
                leg=_ARCHIVE,
                database=sides.database,
                title=f"keep {sides.relation} in step again",
                locks=lock(sides.relation, "ACCESS EXCLUSIVE"),
                statements=(*marker_comes, *install_sync(sides, "retired")),
            ),
            _refill(sides),
        ),
        undo_title="sync again; rows written since get their old values through down",
    )


def _ask_fits(sides: Sides) -> Iterator[Check]:
    """Nobody noted what was written since the end of the sync and the old side cannot hold."""
    held = [(name, pair.fits) for pair in sides.pairs if pair.fits is not None for name in pair.old]
    if not held:
        return
    counts = [
        sql.SQL("pg_catalog.count(*) FILTER (WHERE NOT ({})) AS {}").format(
            fits.render(sides.table.name.name, "t", {}), sql.Identifier(f"rows whose {name} the old column cannot hold")
        )
        for name, fits in held
    ]
    yield Check(
        id=sides.id("sync", "end", "undo", "ask"),
        leg=_ARCHIVE,
        database=sides.database,
        title=f"ask that the old side of {sides.relation} can hold every row",
        locks=lock(sides.relation, "ACCESS SHARE"),
        query=sql.SQL("SELECT {} FROM {} AS t").format(sql.SQL(", ").join(counts), sides.sql).as_string(None),
        fix="give these rows other values, then roll back again",
    )


def _refill(sides: Sides) -> Walk:
    """Rows whose old side is not known or no more right get it through `down`."""
    marker = sql.Identifier(sides.marker)
    old_names = sides.old_names("retired")
    known = _known(sides)
    right = agrees(sides, "retired", "t") if comparable(sides) else known
    stale = sql.SQL("(({}) IS NOT TRUE OR NOT ({}))").format(known, right)
    values = [
        # Pair by pair: a row that the new version wrote keeps the old values it did not write.
        sql.SQL("{c} = CASE WHEN {right} THEN t.{c} ELSE {down} END").format(
            c=sql.Identifier(old_names.get(column, column)),
            # Nothing tells whether a column without a new side is right, but that its values were kept.
            right=pair_agrees(sides, pair, "retired", "t") if pair in comparable(sides) else known,
            down=sides.down(pair, column, "t", "retired"),
        )
        for column, pair in _sources(sides).items()
    ]
    in_range = in_batch("t")
    batch = sql.SQL(
        """
WITH batch AS MATERIALIZED (
  SELECT t.ctid FROM {leaf} AS t WHERE {in_range} AND {stale} FOR NO KEY UPDATE SKIP LOCKED)
UPDATE {leaf} AS t SET {values} FROM batch WHERE t.ctid = batch.ctid AND {in_range}"""
    ).format(
        leaf=any_leaf(),
        in_range=in_range,
        stale=stale,
        values=sql.SQL(", ").join([*values, sql.SQL("{} = true").format(marker)]),
    )
    return Walk(
        id=sides.id("sync", "end", "undo", "refill"),
        leg=_ARCHIVE,
        database=sides.database,
        title=f"bring the old side of {sides.relation} up to date",
        locks=lock(sides.relation, "ROW EXCLUSIVE"),
        relation=sides.relation,
        batch=per_leaf(batch),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}").format(sides.sql, stale).as_string(None),
        pending_rows=per_leaf(
            sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {} AND {}").format(any_leaf(), in_range, stale)
        ),
        silent=sides.silent,
    )


def _sources(sides: Sides) -> dict[str, Pair]:
    """The pair that each old column gets its value from; one with a new side goes first."""
    pairs = sorted(sides.pairs, key=lambda pair: bool(pair.new))
    return {column: pair for pair in pairs for column in pair.down}


def _create(sides: Sides) -> Ddl:
    key = names(sides.key)
    kept = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(sides.hidden(name)), sql.Identifier(name)) for name in sides.parting
    )
    stored = _stored(sides)
    note = sql.SQL(
        "INSERT INTO crossfade.archive (migration, relation, stored_in, columns, leg, keep_until)"
        " VALUES ({}, {}, {}, {}, {}, crossfade.clock() + {}) ON CONFLICT (stored_in) DO UPDATE"
        " SET created_at = crossfade.clock(), keep_until = excluded.keep_until, purged_at = NULL"
    ).format(
        sql.Literal(sides.migration),
        sql.Literal(str(sides.relation)),
        sql.Literal(sides.own("archive")),
        sql.Literal(list(sides.parting)),
        sql.Literal(str(_ARCHIVE)),
        sql.Literal(sides.keep),
    )
    return Ddl(
        id=sides.id("archive", "create"),
        leg=_ARCHIVE,
        database=sides.database,
        title=f"make room for the old values of {sides.relation} ({', '.join(sides.parting)})",
        statements=text(
            sql.SQL("DROP TABLE IF EXISTS {}").format(stored),
            sql.SQL("CREATE TABLE {} AS SELECT {}, {} FROM {} WITH NO DATA").format(stored, key, kept, sides.sql),
            sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(stored, key),
            note,
        ),
        undo=(
            Ddl(
                id=sides.id("archive", "create", "undo"),
                leg=_ARCHIVE,
                database=sides.database,
                title=f"drop the archive of {sides.relation}",
                statements=text(
                    sql.SQL("DROP TABLE IF EXISTS {}").format(stored),
                    sql.SQL("DELETE FROM crossfade.archive WHERE stored_in = {}").format(
                        sql.Literal(sides.own("archive"))
                    ),
                ),
            ),
        ),
        undo_title="drop the archive",
    )


def _copy(sides: Sides) -> Walk:
    key = sides.key
    stored = _stored(sides)
    kept = (
        _known(sides)
        if sides.synced
        else sql.SQL("pg_catalog.num_nonnulls({}) > 0").format(names(_hidden(sides, sides.parting), of="t"))
    )
    in_range = sql.SQL("{} AND {}").format(in_batch("t"), kept)
    same = same_key(key, {name: column.type for name, column in sides.table.by_name.items()}, "a", "t")
    missing = sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS a WHERE {})").format(kept, stored, same)
    return Walk(
        id=sides.id("archive", "copy"),
        leg=_ARCHIVE,
        database=sides.database,
        title=f"copy the old values of {sides.relation} aside ({', '.join(sides.parting)})",
        locks=lock(sides.relation, "ACCESS SHARE"),
        relation=sides.relation,
        batch=per_leaf(
            sql.SQL("INSERT INTO {} ({}, {}) SELECT {}, {} FROM {} AS t WHERE {} ON CONFLICT DO NOTHING").format(
                stored,
                names(key),
                names(sides.parting),
                names(key, of="t"),
                names(_hidden(sides, sides.parting), of="t"),
                any_leaf(),
                in_range,
            )
        ),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}").format(sides.sql, missing).as_string(None),
        pending_rows=per_leaf(
            sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {} AND {}").format(any_leaf(), in_batch("t"), missing)
        ),
        undo=(_fill_from_archive(sides, same),),
        undo_title="give rows that existed then their old values back, by key; a key used again gets those of the row"
        " before",
    )


def _fill_from_archive(sides: Sides, same: sql.Composable) -> Walk:
    """By key: of a row that is not in the archive nothing tells what it would have held."""
    marker = sql.Identifier(sides.marker)
    stored = _stored(sides)
    wanting = (
        sql.SQL("NOT ({})").format(_known(sides))
        if sides.synced
        else sql.SQL("ROW({})::record *<> ROW({})::record").format(
            names(_hidden(sides, sides.parting), of="t"), names(sides.parting, of="a")
        )
    )
    values = [
        sql.SQL("{} = batch.{}").format(sql.Identifier(sides.hidden(name)), sql.Identifier(name))
        for name in sides.parting
    ]
    if sides.synced:
        values.append(sql.SQL("{} = true").format(marker))
    in_range = in_batch("t")
    source = sql.SQL("{} AS t JOIN {} AS a ON {}")
    batch = sql.SQL(
        """
WITH batch AS MATERIALIZED (
  SELECT t.ctid, {old} FROM {source} WHERE {in_range} AND {wanting} FOR NO KEY UPDATE OF t SKIP LOCKED)
UPDATE {leaf} AS t SET {values} FROM batch WHERE t.ctid = batch.ctid AND {in_range}"""
    ).format(
        leaf=any_leaf(),
        old=names(sides.parting, of="a"),
        source=source.format(any_leaf(), stored, same),
        in_range=in_range,
        wanting=wanting,
        values=sql.SQL(", ").join(values),
    )
    return Walk(
        id=sides.id("archive", "copy", "undo"),
        leg=_ARCHIVE,
        database=sides.database,
        title=f"give {sides.relation} its old values back",
        locks=lock(sides.relation, "ROW EXCLUSIVE"),
        relation=sides.relation,
        batch=per_leaf(batch),
        pending=sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}")
        .format(source.format(sides.sql, stored, same), wanting)
        .as_string(None),
        pending_rows=per_leaf(
            sql.SQL("SELECT t.ctid::text FROM {} WHERE {} AND {}").format(
                source.format(any_leaf(), stored, same), in_range, wanting
            )
        ),
        silent=sides.silent,
        unknown=sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE NOT EXISTS (SELECT FROM {} AS a WHERE {})")
        .format(sides.sql, stored, same)
        .as_string(None),
    )


def _drop(sides: Sides) -> Ddl:
    columns = ", ".join(sides.leaving)
    added = [statement for name in sides.leaving for statement in _added_again(sides, name)]
    if sides.synced:
        added.append(sides.alter("ADD COLUMN {} boolean DEFAULT {}", sides.marker, sides.unknown))
        added.append(sides.explain_marker())
    dropped = [sides.alter("DROP COLUMN IF EXISTS {}", name) for name in _hidden(sides, sides.leaving)]
    if sides.synced:
        dropped.append(sides.alter("DROP COLUMN IF EXISTS {}", sides.marker))
    going = carry.staying_constraints(sides, frozenset(sides.leaving))  # they go with their columns
    return Ddl(
        id=sides.id("drop"),
        leg=_DROP,
        database=sides.database,
        title=f"drop {columns} of {sides.relation} (hidden until now)",
        locks=(
            *lock(sides.relation, "ACCESS EXCLUSIVE"),
            *lock_parents(sides.relation, carry.parents_of(going), "ACCESS EXCLUSIVE"),
        ),
        statements=text(*dropped),
        undo=(
            Ddl(
                id=sides.id("drop", "undo"),
                leg=_DROP,
                database=sides.database,
                title=f"add {columns} to {sides.relation} again, empty",
                locks=lock(sides.relation, "ACCESS EXCLUSIVE"),
                statements=text(*added),
            ),
            *carry.old_again(sides, _DROP),
            *replaced_key.old_again(sides, _DROP),
        ),
        undo_title=_where_values_are(sides),
    )


def _where_values_are(sides: Sides) -> str:
    if not sides.parting:
        return "from the new columns, which hold the same"
    if keeps_values(sides):
        return "from the archive, by key, for rows that existed then"
    return "the shape comes back, the values do not: nothing keeps them"


def _added_again(sides: Sides, name: str) -> Iterator[sql.Composable]:
    """The hidden column as it was; rows that nothing maps get its default, as they did while it was hidden."""
    column = sides.old_column(name)
    pair = next(pair for pair in sides.pairs if name in pair.old)
    clauses: list[sql.Composable] = [trusted(sides.spelled(pair, column.type, "retired"))]
    if column.collation is not None:
        clauses.append(sql.SQL("COLLATE {}").format(sql.Identifier(column.collation.schema, column.collation.name)))
    if column.default is not None and not column.default_volatile and not sides.follows(name):
        clauses.append(sql.SQL("DEFAULT {}").format(trusted(column.default)))
    yield sides.alter("ADD COLUMN {} {}", sides.hidden(name), sql.SQL(" ").join(clauses))
    for clause in Tuning.of(column).clauses(sides.hidden(name)):
        yield sides.alter("{}", clause)
    if column.comment is not None:
        hidden = sql.Identifier(sides.relation.schema_name, sides.relation.name, sides.hidden(name))
        yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(hidden, sql.Literal(column.comment))
