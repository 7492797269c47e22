"""The steps by which a table is taken in by another one: set up, filled, proved, hidden, ended, dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.absorbed import functions, giving_way, notes, taking_back, triggers
from crossfade.steps.absorbed.tables import Absorbed
from crossfade.steps.compose import any_leaf, in_batch, lock, names, per_leaf, table, text
from crossfade.steps.conflicts import counted
from crossfade.steps.indexes import build_one
from crossfade.steps.step import BACKFILL, EXPAND, AnyStep, BuildIndex, Check, Ddl, Leg, Relation, Walk, stage_leg

_RETIRE, _ARCHIVE, _DROP = stage_leg("retire"), stage_leg("archive"), stage_leg("drop")


def expand(
    absorbed: Absorbed, lookups: Sequence[sql.Composable], without: Sequence[sql.Composable]
) -> Iterator[AnyStep]:
    """From here on both tables follow each other, where a row has its like.

    lookups: by which tables that refer find the one key by the other; without: what takes them away.
    """
    yield _columns(absorbed, lookups, without)
    yield _find(absorbed)
    likes = (*triggers.of_keys(absorbed), *triggers.of_likes(absorbed))
    rows, come = triggers.of_rows(absorbed), triggers.of_rows_that_come()
    yield _installed(absorbed, "likes", absorbed.right, likes, EXPAND)
    yield _installed(absorbed, "rows", absorbed.left, rows, EXPAND)
    yield from giving_way.begin(absorbed)
    installed = _installed(absorbed, "come", absorbed.left, come, EXPAND)
    # Likes go while their rows still know them, and while no row gets one any more.
    back = (*installed.undo, *taking_back.steps(absorbed))
    yield installed.model_copy(
        update={"undo": back, "undo_title": f"drop them, and take the rows out of {absorbed.right} again"}
    )


def fill(absorbed: Absorbed) -> Walk:
    """Rows that existed: each is drawn a key and made in one statement."""
    link, made = sql.Identifier(absorbed.link), sql.Identifier(absorbed.made)
    due = sql.SQL("{} AND t.{} IS NULL").format(in_batch("t"), made)
    # The like is made of what was written, not of what was read: a row may have come to stand elsewhere in between.
    batch = sql.SQL(
        """
WITH batch AS MATERIALIZED (SELECT t.ctid FROM {leaf} AS t WHERE {due} FOR NO KEY UPDATE SKIP LOCKED),
linked AS (
  UPDATE {leaf} AS t SET {link} = {draw}, {made} = true FROM batch WHERE t.ctid = batch.ctid AND {due}
  RETURNING {written})
INSERT INTO {kept} ({filled}) OVERRIDING SYSTEM VALUE SELECT {values} FROM linked"""
    ).format(
        leaf=any_leaf(),
        due=due,
        link=link,
        draw=absorbed.drawn,
        made=made,
        written=_numbered(absorbed),
        kept=absorbed.kept_sql,
        filled=names((absorbed.key.name, *absorbed.filled)),
        values=names(f"_cf_{n}" for n in range(len(absorbed.filled) + 1)),
    )
    # Where one of a batch fails, or a trigger may change it, each is made by itself, and notes its failure.
    one_by_one = sql.SQL(
        """
WITH batch AS MATERIALIZED (SELECT t.ctid FROM {leaf} AS t WHERE {due} FOR NO KEY UPDATE SKIP LOCKED),
linked AS (
  UPDATE {leaf} AS t SET {link} = {draw}, {made} = false FROM batch WHERE t.ctid = batch.ctid AND {due}
  RETURNING t.{link} AS key)
SELECT {make}(linked.key) FROM linked"""
    ).format(leaf=any_leaf(), due=due, link=link, draw=absorbed.drawn, made=made, make=absorbed.function("make"))
    noted = sql.SQL(
        "WITH one AS (UPDATE {} AS t SET {} = {}, {} = false WHERE {} RETURNING {} AS key)"
        " SELECT crossfade.note_conflict({}, {}, one.key, $3) FROM one"
    ).format(
        any_leaf(),
        link,
        absorbed.drawn,
        made,
        due,
        absorbed.row_json("t"),
        sql.Literal(absorbed.migration),
        sql.Literal(str(absorbed.table.name)),
    )
    pending = sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE t.{} IS NULL").format(table(absorbed.left), made)
    return Walk(
        id=absorbed.id("fill"),
        leg=BACKFILL,
        database=absorbed.database,
        title=f"make the rows of {absorbed.table.name} in {absorbed.kept.name}",
        locks=(*lock(absorbed.left, "ROW EXCLUSIVE"), *lock(absorbed.right, "ROW EXCLUSIVE")),
        undo_title="they go with what expand made",
        relation=absorbed.left,
        first=giving_way.asked_of_none(),
        batch=per_leaf(one_by_one if absorbed.heard else batch),
        careful=per_leaf(one_by_one),
        conflict=per_leaf(noted),
        settle=notes.settle(absorbed),
        pending=pending.as_string(None),
        pending_rows=per_leaf(sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {}").format(any_leaf(), due)),
        silent=absorbed.silent,
        writes=(absorbed.link, absorbed.made),
    )


def parity(absorbed: Absorbed, leg: Leg) -> Check:
    """Every row has its like, which holds the same, and nothing is still to be carried: a scan without a lock."""
    made, key = sql.Identifier(absorbed.made), sql.Identifier(absorbed.key.name)
    # Those noted are counted as what they are noted for.
    query = sql.SQL(
        """
SELECT pg_catalog.count(*) FILTER (WHERE s.{made} IS NOT TRUE AND NOT {noted}) AS "rows not made yet",
       pg_catalog.count(*) FILTER (WHERE s.{made} AND t.{key} IS NULL AND NOT {noted}) AS "rows whose like is gone",
       pg_catalog.count(*) FILTER (WHERE s.{made} AND t.{key} IS NOT NULL AND {differ} AND NOT {noted})
         AS "rows that disagree",
       {counted}
  FROM {table} AS s LEFT JOIN {kept} AS t ON {same}"""
    ).format(
        made=made,
        key=key,
        noted=notes.is_noted(absorbed, "s"),
        differ=absorbed.differ("s", "t"),
        counted=counted(sql.SQL("({})").format(notes.open_notes(absorbed, "sqlstate"))),
        table=table(absorbed.left),
        kept=absorbed.kept_sql,
        same=absorbed.is_like("s", "t"),
    )
    return Check(
        id=absorbed.id("parity", str(leg)),
        leg=leg,
        database=absorbed.database,
        title=f"prove that {absorbed.kept.name} holds every row of {absorbed.table.name}",
        locks=(*lock(absorbed.left, "ACCESS SHARE"), *lock(absorbed.right, "ACCESS SHARE")),
        query=query.as_string(None).strip(),
        witness=triggers.witness(absorbed),
        settle=notes.settle(absorbed),
        fix=f"mend these rows so that {absorbed.kept.name} can hold them, or delete them; then run `crossfade up`",
    )


def hide(absorbed: Absorbed) -> Ddl:
    rename = sql.SQL("ALTER TABLE {} RENAME TO {}")
    on = partial(Ddl, leg=_RETIRE, database=absorbed.database)
    return on(
        id=absorbed.id("hide"),
        title=f"hide table {absorbed.table.name}, whose rows {absorbed.kept.name} holds",
        locks=lock(absorbed.left, "ACCESS EXCLUSIVE"),
        statements=(
            *notes.all_carried(absorbed),
            *text(rename.format(table(absorbed.left), sql.Identifier(absorbed.hidden.name))),
        ),
        guards=(triggers.guard(absorbed),),
        witnessed_by=(absorbed.id("parity", str(_RETIRE)),),
        undo=(
            _ask_behind(absorbed),
            on(
                id=absorbed.id("hide", "undo"),
                title=f"give {absorbed.table.name} its name back",
                locks=lock(absorbed.hidden, "ACCESS EXCLUSIVE"),
                statements=text(rename.format(table(absorbed.hidden), sql.Identifier(absorbed.left.name))),
            ),
        ),
        undo_title=f"give {absorbed.table.name} its name back: it was kept in step",
    )


def archive(absorbed: Absorbed) -> Iterator[Ddl]:
    """The two part; what goes is its own archive from now on.

    On the way back it is brought up to date before what is written to it is carried again: that would be older.
    """
    on = partial(Ddl, leg=_ARCHIVE, database=absorbed.database)
    likes = triggers.of_likes(absorbed)
    rows = (*triggers.of_rows(absorbed), *triggers.of_rows_that_come())
    yield on(
        id=absorbed.id("rows", "end"),
        title=f"carry from the hidden {absorbed.table.name} no more (triggers)",
        locks=lock(absorbed.hidden, "ACCESS EXCLUSIVE"),
        statements=triggers.off(absorbed, absorbed.hidden, rows),
        undo=(
            on(
                id=absorbed.id("rows", "end", "undo"),
                title=f"carry from the hidden {absorbed.table.name} again (triggers)",
                locks=lock(absorbed.hidden, "SHARE ROW EXCLUSIVE"),
                statements=triggers.on(absorbed, absorbed.hidden, rows),
            ),
        ),
        undo_title="carry again",
    )
    yield on(
        id=absorbed.id("likes", "end"),
        title=f"carry from {absorbed.kept.name} to the hidden {absorbed.table.name} no more (triggers)",
        locks=lock(absorbed.right, "ACCESS EXCLUSIVE"),
        statements=(
            *triggers.off(absorbed, absorbed.right, likes),
            # What the table that goes could not hold is nobody's concern now; on the way back it is found again.
            *text(*functions.ended(absorbed), *notes.let_be(absorbed)),
        ),
        undo=(
            on(
                id=absorbed.id("likes", "end", "undo"),
                title=f"carry from {absorbed.kept.name} to the hidden {absorbed.table.name} again (triggers)",
                locks=lock(absorbed.right, "SHARE ROW EXCLUSIVE"),
                statements=(
                    *text(*functions.installed(absorbed)),
                    *triggers.on(absorbed, absorbed.right, likes),
                ),
            ),
            taking_back.refill(absorbed, _ARCHIVE),
        ),
        undo_title="carry again, and bring the hidden table up to date",
    )


def drop(absorbed: Absorbed, without: Sequence[sql.Composable]) -> Iterator[Ddl]:
    """without: statements that take the lookups away."""
    on = partial(Ddl, leg=_DROP, database=absorbed.database)
    keys = triggers.of_keys(absorbed)
    yield on(
        id=absorbed.id("keys", "end"),
        title=f"follow keys of {absorbed.kept.name} no more (trigger)",
        locks=lock(absorbed.right, "ACCESS EXCLUSIVE"),
        statements=(*triggers.off(absorbed, absorbed.right, keys), *text(functions.keys_let_go(absorbed))),
        undo=(
            on(
                id=absorbed.id("keys", "end", "undo"),
                title=f"follow keys of {absorbed.kept.name} again (trigger)",
                locks=lock(absorbed.right, "SHARE ROW EXCLUSIVE"),
                statements=(*text(*functions.of_keys(absorbed)), *triggers.on(absorbed, absorbed.right, keys)),
            ),
        ),
        undo_title="follow them again",
    )
    yield on(
        id=absorbed.id("drop"),
        title=f"drop table {absorbed.table.name} (hidden until now)",
        locks=lock(absorbed.hidden, "ACCESS EXCLUSIVE"),
        statements=text(
            *without,
            sql.SQL("DROP VIEW {}").format(absorbed.rows),
            sql.SQL("DROP TABLE {}").format(table(absorbed.hidden)),
        ),
        undo_title=f"the table is gone; {absorbed.kept.name} has its rows",
        irreversible=True,
    )


def _columns(absorbed: Absorbed, lookups: Sequence[sql.Composable], without: Sequence[sql.Composable]) -> Ddl:
    left, link, made = table(absorbed.left), sql.Identifier(absorbed.link), sql.Identifier(absorbed.made)
    said = {
        absorbed.link: f"crossfade: key of the row's like in {absorbed.kept.name}; migration {absorbed.migration}",
        absorbed.made: f"crossfade: NULL no like yet, true it is there, false it could not be made; migration"
        f" {absorbed.migration}",
    }
    comments = (
        sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(left, sql.Identifier(name), sql.Literal(text_))
        for name, text_ in said.items()
    )
    columns = (*absorbed.table.by_name, absorbed.link, absorbed.made)
    on = partial(Ddl, leg=EXPAND, database=absorbed.database, locks=lock(absorbed.left, "ACCESS EXCLUSIVE"))
    return on(
        id=absorbed.id("columns"),
        title=f"let each row of {absorbed.table.name} know its like in {absorbed.kept.name}",
        statements=text(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}, ADD COLUMN {} boolean").format(
                left, link, trusted(absorbed.key.type), made
            ),
            *comments,
            sql.SQL("CREATE VIEW {} AS SELECT {} FROM {}").format(absorbed.rows, names(columns), left),
            *functions.installed(absorbed),
            *lookups,
        ),
        undo=(
            on(
                id=absorbed.id("columns", "undo"),
                title=f"forget the likes of {absorbed.table.name}",
                statements=text(
                    *without,
                    *functions.removed(absorbed),
                    sql.SQL("DROP VIEW IF EXISTS {}").format(absorbed.rows),
                    sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}, DROP COLUMN IF EXISTS {}").format(
                        left, link, made
                    ),
                ),
            ),
        ),
        undo_title="drop the columns",
    )


def _find(absorbed: Absorbed) -> BuildIndex:
    """Partial: no key for PostgreSQL, which would lock rows that are filled against those who refer to them."""
    name, link = absorbed.own("find"), sql.Identifier(absorbed.link)
    statement = sql.SQL("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({link}) WHERE {link} IS NOT NULL").format(
        sql.Identifier(name), table(absorbed.left), link=link
    )
    built = build_one(absorbed.place(EXPAND), absorbed.id("find"), name, statement.as_string(None), unique=True)
    title = f"build an index by which a row of {absorbed.table.name} is found by its like"
    return built.model_copy(update={"title": title})


def _installed(absorbed: Absorbed, what: str, relation: Relation, wanted: Sequence[triggers.Wanted], leg: Leg) -> Ddl:
    titles = {
        "likes": f"carry what is written to rows of {absorbed.table.name} in {absorbed.kept.name}",
        "rows": f"carry what is written to {absorbed.table.name}",
        "come": f"make rows that come into {absorbed.table.name} in {absorbed.kept.name} too",
    }
    on = partial(Ddl, leg=leg, database=absorbed.database)
    return on(
        id=absorbed.id(what),
        title=f"{titles[what]} (triggers)",
        locks=lock(relation, "SHARE ROW EXCLUSIVE"),
        statements=triggers.on(absorbed, relation, wanted),
        undo=(
            on(
                id=absorbed.id(what, "undo"),
                title=f"drop these triggers of {relation}",
                locks=lock(relation, "ACCESS EXCLUSIVE"),
                statements=triggers.off(absorbed, relation, wanted),
            ),
        ),
        undo_title="drop the triggers",
    )


def _numbered(absorbed: Absorbed) -> sql.Composable:
    """The key of the like of `t`, and what else that is made of, under names that none of them has."""
    found: list[sql.Composable] = [sql.Identifier("t", name) for name in (absorbed.link, *absorbed.columns.values())]
    found += [value.render(absorbed.table.name.name, "t") for value in absorbed.values.values()]
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(value, sql.Identifier(f"_cf_{n}")) for n, value in enumerate(found)
    )


def _ask_behind(absorbed: Absorbed) -> Check:
    """Nothing that the kept table was written with is missing on the other side."""
    return Check(
        id=absorbed.id("hide", "undo", "ask"),
        leg=_RETIRE,
        database=absorbed.database,
        title=f"ask that {absorbed.table.name} holds what {absorbed.kept.name} was written with",
        query=sql.SQL("SELECT {}")
        .format(counted(sql.SQL("({})").format(notes.open_notes(absorbed, "sqlstate"))))
        .as_string(None),
        settle=notes.settle(absorbed),
        fix=f"write these rows with values that {absorbed.table.name} can hold, then roll back again",
    )
