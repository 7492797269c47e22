"""What the triggers of both tables do with a row that was written, in PL/pgSQL."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.absorbed.tables import Absorbed, Side
from crossfade.steps.compose import equal, identifier, record
from crossfade.steps.conflicts import HELD


def bodies(absorbed: Absorbed) -> Iterator[tuple[str, sql.Composable]]:
    """Of each function that a trigger calls, by its purpose."""
    link, made, key = sql.Identifier(absorbed.link), sql.Identifier(absorbed.made), sql.Identifier(absorbed.key.name)
    parts = {
        "link": link,
        "made": made,
        "key": key,
        "make": absorbed.function("make"),
        "carry_left": absorbed.function("carry_left"),
        "carry_right": absorbed.function("carry_right"),
        "gone": sql.SQL("'{}'::text[]"),
        "kept": absorbed.kept_sql,
        "rows": absorbed.rows,
        "notes": absorbed.notes,
        "held": sql.Literal(HELD),
    }
    come = "  new.{link} := {draw};\n  new.{made} := false;\n  RETURN new;"
    yield "come", sql.SQL(come).format(**parts, draw=absorbed.drawn)
    yield (
        "written",
        sql.SQL(
            """  IF TG_OP = 'DELETE' THEN
    IF old.{made} THEN
      PERFORM {carry_left}(old.{link}, {gone}, true);
    ELSE
      PERFORM crossfade.resolve_conflict({migration}, {relation}, {json});
    END IF;
  ELSIF TG_OP = 'UPDATE' AND new.{made} THEN
    PERFORM {carry_left}(new.{link}, {changed}, true);
  ELSE
    -- DDL is waited for, as by who writes that table itself: a row that refers to this one may be about to come.
    LOCK TABLE {kept} IN ROW EXCLUSIVE MODE;
    PERFORM {make}(new.{link});
  END IF;
  RETURN NULL;"""
        ).format(
            **parts,
            migration=sql.Literal(absorbed.migration),
            relation=sql.Literal(str(absorbed.table.name)),
            json=absorbed.row_json("old"),
            changed=_changed(absorbed, "left"),
        ),
    )
    # Each is carried when who does it commits: a like goes, or is made again.
    emptied = (
        "  INSERT INTO {notes} (key, side, told, fresh, sqlstate)\n"
        "  SELECT s.{link}, 'left', {told}, true, {held} FROM {rows} AS s WHERE s.{made};\n"
    )
    done = sql.SQL("  RETURN NULL;")
    yield "emptied", sql.SQL("").join((sql.SQL(emptied).format(**parts, told=parts["gone"]), done))
    again = sql.SQL(emptied).format(**parts, told=absorbed.all_columns)
    yield "likes_emptied", sql.SQL("").join((again, *_counted_past(absorbed), done))
    yield (
        "like_written",
        sql.SQL(
            """  IF TG_OP = 'DELETE' THEN
    IF EXISTS (SELECT FROM {of_old}) THEN PERFORM {carry_right}(old.{key}, {gone}, true); END IF;
  ELSIF EXISTS (SELECT FROM {of_new}) THEN
    PERFORM {carry_right}(new.{key}, {changed}, true);
  END IF;
  RETURN NULL;"""
        ).format(
            **parts,
            of_old=absorbed.found("left", sql.Identifier("old", absorbed.key.name)),
            of_new=absorbed.found("left", sql.Identifier("new", absorbed.key.name)),
            changed=_changed(absorbed, "right"),
        ),
    )
    yield "taken", _taken(absorbed)
    noted = sql.SQL(
        """  UPDATE {notes} AS b SET key = new.{key} WHERE {b};
  IF FOUND THEN PERFORM crossfade.note_conflict({migration}, {relation}, {json}, {held}); END IF;
  RETURN NULL;"""
    ).format(
        **parts,
        b=equal(absorbed.key.type, sql.SQL("b.key"), sql.Identifier("old", absorbed.key.name)),
        migration=sql.Literal(absorbed.migration),
        relation=sql.Literal(absorbed.told_of("right")),
        json=absorbed.note_json(sql.Identifier("new", absorbed.key.name)),
    )
    yield "noted_moved", noted
    yield "at_commit", sql.SQL("  PERFORM {}(new.key);\n  RETURN NULL;").format(absorbed.function("settle"))


def _taken(absorbed: Absorbed) -> sql.Composable:
    """A key given out by hand, which a row in conflict has drawn: that draws another, and what refers to it follows."""
    old = absorbed.table.by_name
    followed = [
        sql.SQL("      UPDATE {} AS c SET {} = s.{} FROM {} AS s WHERE {} AND {};\n").format(
            identifier(child.table.name),
            sql.Identifier(child.column),
            sql.Identifier(absorbed.link),
            absorbed.rows,
            absorbed.is_row("s", sql.SQL("other")),
            sql.SQL(" AND ").join(
                equal(old[name].type, sql.Identifier("c", here), sql.Identifier("s", name))
                for here, name in zip(child.columns, absorbed.table.key, strict=True)
            ),
        )
        for child in absorbed.children
    ]
    return sql.SQL(
        """  PERFORM FROM {rows} AS s WHERE {s} AND s.{made} IS FALSE FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    DECLARE
      other {type} := {draw};
    BEGIN
      UPDATE {rows} AS s SET {link} = other WHERE {s};
{followed}    END;
  END IF;
  RETURN new;"""
    ).format(
        rows=absorbed.rows,
        s=absorbed.is_row("s", sql.Identifier("new", absorbed.key.name)),
        made=sql.Identifier(absorbed.made),
        type=trusted(absorbed.key.type),
        draw=absorbed.drawn,
        link=sql.Identifier(absorbed.link),
        followed=sql.SQL("").join(followed),
    )


def key_moved(absorbed: Absorbed) -> sql.Composable:
    return sql.SQL("  UPDATE {} AS s SET {} = new.{} WHERE {} AND s.{};\n  RETURN new;").format(
        absorbed.rows,
        sql.Identifier(absorbed.link),
        sql.Identifier(absorbed.key.name),
        absorbed.is_row("s", sql.Identifier("old", absorbed.key.name)),
        sql.Identifier(absorbed.made),
    )


def _counted_past(absorbed: Absorbed) -> Iterator[sql.Composable]:
    """Statements by which a counter that begins anew gives out none of the keys that likes come back under."""
    for counter in absorbed.counters:
        yield sql.SQL(
            """  PERFORM pg_catalog.setval({}, most.key)
     FROM (SELECT pg_catalog.max(s.{}) AS key FROM {} AS s) AS most, {} AS c WHERE most.key > c.last_value;
"""
        ).format(
            sql.Literal(identifier(counter).as_string(None)),
            sql.Identifier(absorbed.link),
            absorbed.rows,
            identifier(counter),
        )


def _changed(absorbed: Absorbed, side: Side) -> sql.Composable:
    """The columns that an UPDATE changed, by their names in the kept table."""
    cases = [
        sql.SQL("CASE WHEN {} *<> {} THEN {} END").format(
            record((name,), "new"), record((name,), "old"), sql.Literal(there)
        )
        for there, here in absorbed.columns.items()
        for name in [here if side == "left" else there]
    ]
    return sql.SQL("pg_catalog.array_remove(CAST(ARRAY[{}] AS text[]), NULL)").format(sql.SQL(", ").join(cases))
