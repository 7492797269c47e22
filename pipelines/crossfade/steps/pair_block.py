"""What the sync trigger does with one pair: who wrote, which side is made of the other, what becomes of a value that
cannot be mapped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import LiteralString

from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.agreement import made_by_down, made_by_up, pair_agrees
from crossfade.steps.conflicts import BOTH_WRITTEN
from crossfade.steps.given import any_given, new_given, old_given
from crossfade.steps.plpgsql import commented
from crossfade.steps.rows import Moment, Pair, Sides
from crossfade.steps.triggers import changed, emptied

# Conditions that are about the server or the transaction and not about the value: those must stay errors.
_NOT_ABOUT_THE_VALUE = ("40", "53", "55", "57", "58", "XX")


def block(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Statements of the trigger's function, over its variables `old_wrote`, `new_wrote` and `failed`."""
    return (_turned if sides.turned(pair, moment) else _both_ways)(sides, pair, moment)


def _both_ways(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Old and new versions both write: the side that changed is mapped to the other; a row not mapped yet goes up.

    Where one statement writes both, they stay as written, and are in conflict unless they agree: nothing else would
    see it before the turn. In a row that is in conflict (marked false) a pair nobody writes is left alone: which side
    is the newer one is not known any more. Only an empty new side is tried again.
    """
    new_columns = sides.new_side(pair, moment)
    down = _assign_down(sides, pair, moment) if pair.down else sql.SQL("    NULL;")
    parts = {
        "title": trusted(commented(pair.title)),
        "old_changed": changed(sides.old_side(pair, moment)),
        "new_changed": changed(new_columns),
        "old_given": old_given(sides, pair, moment),
        "new_given": new_given(sides, pair, moment),
        "marker": sql.Identifier(sides.marker),
        "rest": _rest_of_new_side(sides, pair, moment),
        "down": down,
        "up": _assign_up(sides, pair, moment) if pair.up else sql.SQL("    NULL;"),
        "both_written": _both_written(sides, pair, moment),
    }
    if not pair.new:  # a column that leaves, with a value for writers that know it no more
        return sql.SQL(
            """  -- {title}
  IF TG_OP = 'INSERT' AND NOT ({old_given}) THEN
{down}
  END IF;"""
        ).format(**parts)
    return sql.SQL(
        """  -- {title}
  IF TG_OP = 'UPDATE' THEN
    old_wrote := {old_changed};
    new_wrote := {new_changed}{emptied};{beside}
  ELSE
    old_wrote := {old_given};
    new_wrote := {new_given};{by_schemas}
  END IF;
  IF new_wrote AND NOT old_wrote THEN
{rest}{down}
  ELSIF NOT new_wrote AND (old_wrote OR TG_OP = 'INSERT' OR new.{marker} IS NULL OR {again}) THEN
{up}{both_written}
  END IF;"""
    ).format(
        **parts,
        again=sql.SQL("(new.{} IS FALSE AND NOT ({}))").format(parts["marker"], any_given(new_columns)),
        by_schemas=_by_schemas(sides, pair),
        emptied=_by_statement(sides, pair),
        beside=_by_what_was_made(sides, pair, moment),
    )


def _by_what_was_made(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Where neither side changed and what stands beside them did: the side that the other was made of passes for
    written, the old one where that is both. So nothing that a version wrote is written over, but with what is made of
    a later write of the other one.
    """
    beside = sides.beside(pair, moment)
    if not beside:
        return sql.SQL("")
    return sql.SQL(
        """
    IF NOT old_wrote AND NOT new_wrote AND new.{marker} IS NOT NULL AND {beside} THEN
{by_up}
      IF NOT old_wrote THEN
{by_down}
      END IF;
    END IF;"""
    ).format(
        marker=sql.Identifier(sides.marker),
        beside=changed(beside),
        by_up=_answer(pair, "old_wrote", made_by_up(sides, pair, moment, "old"), failed=False),
        by_down=_answer(pair, "new_wrote", made_by_down(sides, pair, moment, "old"), failed=False),
    )


def _rest_of_new_side(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Of a row not mapped yet the new version may write some columns: the others come from the old side, or `down`
    would read them as empty."""
    if len(pair.up) < 2 or not pair.down:
        return sql.SQL("")
    names = sides.new_names(moment)
    lines = sql.SQL("\n").join(
        sql.SQL("      IF NOT ({}) THEN\n{}\n      END IF;").format(
            changed((names.get(column, column),)),
            _assign(pair, [(names.get(column, column), sides.up(pair, column, "new", moment))], emptied=True),
        )
        for column in pair.up
    )
    return sql.SQL("    IF TG_OP = 'UPDATE' AND new.{} IS NULL THEN\n{}\n    END IF;\n").format(
        sql.Identifier(sides.marker), lines
    )


def _by_schemas(sides: Sides, pair: Pair) -> sql.Composable:
    """Where a row gives both sides or none, each version has a default or a NULL of its own."""
    if sides.schemas is None or not pair.old:  # or the new version sees both sides
        return sql.SQL("")
    return sql.SQL("""
    IF old_wrote = new_wrote THEN  -- the row does not tell which version wrote it, the writer's schemas do
      new_wrote := TG_ARGV[0] = 'new';
      old_wrote := NOT new_wrote;
    END IF;""")


def _by_statement(sides: Sides, pair: Pair) -> sql.Composable:
    number = sides.pairs.index(pair)
    if number not in emptied(sides):
        return sql.SQL("")
    return sql.SQL(" OR coalesce(TG_ARGV[0] = {}, false)").format(sql.Literal(f"new {number}"))


def _both_written(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Once the new version is alone, what it writes to both is its own affair."""
    if not pair.comparable or moment == "retired":
        return sql.SQL("")
    return sql.SQL("\n  ELSIF new_wrote AND old_wrote AND NOT ({}) THEN\n    failed := {};").format(
        pair_agrees(sides, pair, moment, "new"), sql.Literal(BOTH_WRITTEN)
    )


def _turned(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """Only the new side is written: the hidden old side follows."""
    if not pair.down:
        return sql.SQL("  -- {title}: the old side does not follow").format(title=trusted(commented(pair.title)))
    if not pair.new:  # rows that exist keep the value old writers gave them
        names = sides.old_names(moment)
        return sql.SQL(
            """  -- {title}
  IF (TG_OP = 'INSERT' OR new.{marker} IS {unknown}) AND NOT ({given}) THEN
{down}
  END IF;"""
        ).format(
            title=trusted(commented(pair.title)),
            marker=sql.Identifier(sides.marker),
            unknown=sides.unknown,
            given=any_given(tuple(names.get(name, name) for name in pair.down)),
            down=_assign_down(sides, pair, moment),
        )
    return sql.SQL(
        """  -- {title}
  new_wrote := TG_OP = 'INSERT' OR new.{marker} IS NOT TRUE OR {changed};{beside}
  IF new_wrote THEN
{down}
  END IF;"""
    ).format(
        title=trusted(commented(pair.title)),
        marker=sql.Identifier(sides.marker),
        changed=changed(sides.new_side(pair, moment) if pair.comparable else sides.down_reads(pair, moment)),
        beside=_unless_still_made(sides, pair, moment),
        down=_assign_down(sides, pair, moment),
    )


def _unless_still_made(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    """What stands beside the pair changed: where `up` still makes the new side of the old one, that stays as it is."""
    beside = sides.beside(pair, moment)
    if not beside:
        return sql.SQL("")
    parted = sql.SQL("NOT ({})").format(made_by_up(sides, pair, moment, "new"))
    return sql.SQL("\n  IF NOT new_wrote AND {} THEN\n{}\n  END IF;").format(
        changed(beside), _answer(pair, "new_wrote", parted, failed=True)
    )


def _assign_up(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    names = sides.new_names(moment)
    return _assign(
        pair,
        [(names.get(column, column), sides.up(pair, column, "new", moment)) for column in pair.up],
        emptied=True,
    )


def _assign_down(sides: Sides, pair: Pair, moment: Moment) -> sql.Composable:
    names = sides.old_names(moment)
    return _assign(
        pair,
        [(names.get(column, column), sides.down(pair, column, "new", moment)) for column in pair.down],
        # Side by side the old column may be NOT NULL, and an old value is better than none.
        emptied=sides.turned(pair, moment),
    )


def _assign(pair: Pair, values: list[tuple[str, sql.Composable]], *, emptied: bool) -> sql.Composable:
    """Assignments; where they may fail, in a block that notes the failure and leaves the target empty or as it was."""
    assigned = [sql.SQL("new.{} := {};").format(sql.Identifier(column), value) for column, value in values]
    left = [sql.SQL("new.{} := NULL;").format(sql.Identifier(column)) for column, _ in values if emptied]
    return _tried(pair, assigned, [sql.SQL("failed := SQLSTATE;"), *left])


def _answer(pair: Pair, variable: LiteralString, question: sql.Composable, *, failed: bool) -> sql.Composable:
    """The answer in a variable: `failed` where the question cannot be asked of the row."""
    asked = sql.SQL("{} := {};").format(sql.SQL(variable), question)
    return _tried(pair, [asked], [sql.SQL("{} := {};").format(sql.SQL(variable), sql.Literal(failed))])


def _tried(pair: Pair, lines: Iterable[sql.Composable], otherwise: Iterable[sql.Composable]) -> sql.Composable:
    """Statements over the pair's values, and those instead where a value makes one fail."""
    if pair.total:
        return sql.SQL("\n").join(sql.SQL("    {}").format(line) for line in lines)
    return sql.SQL(
        """    BEGIN
{lines}
    EXCEPTION WHEN others THEN
      IF pg_catalog.left(SQLSTATE, 2) IN ({server}) THEN RAISE; END IF;
{otherwise}
    END;"""
    ).format(
        lines=sql.SQL("\n").join(sql.SQL("      {}").format(line) for line in lines),
        otherwise=sql.SQL("\n").join(sql.SQL("      {}").format(line) for line in otherwise),
        server=sql.SQL(", ").join(map(sql.Literal, _NOT_ABOUT_THE_VALUE)),
    )
