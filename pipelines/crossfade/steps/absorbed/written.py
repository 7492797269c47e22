"""What the triggers of both tables do with a row that was written, in PL/pgSQL."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.composing import sql
from crossfade.steps.absorbed.tables import Absorbed, Side
from crossfade.steps.compose import record
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
        "all": absorbed.all_columns,
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
      PERFORM {carry_left}(old.{link}, {all}, true);
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
        "  SELECT s.{link}, 'left', {all}, true, {held} FROM {rows} AS s WHERE s.{made};\n  RETURN NULL;"
    )
    yield "emptied", sql.SQL(emptied).format(**parts)
    yield (
        "like_written",
        sql.SQL(
            """  IF TG_OP = 'DELETE' THEN
    IF EXISTS (SELECT FROM {of_old}) THEN PERFORM {carry_right}(old.{key}, {all}, true); END IF;
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
    moved = "  UPDATE {rows} AS s SET {link} = new.{key} WHERE {s} AND s.{made};\n  RETURN new;"
    row = absorbed.is_row("s", sql.Identifier("old", absorbed.key.name))
    yield "like_moved", sql.SQL(moved).format(**parts, s=row)
    again = sql.SQL("  PERFORM {}(new.key);\n  RETURN NULL;").format(absorbed.function("settle"))
    yield "at_commit", again


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
