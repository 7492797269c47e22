"""What the kinds that map columns share: expressions checked by the server, and what stands in a column's way."""

from __future__ import annotations

from collections.abc import Mapping

from crossfade.catalog.model import Column, Dependent, Table
from crossfade.changes._change import Hazard
from crossfade.changes._context import Context, Facts
from crossfade.spec.fragment import Expression

_WIDENING = {
    "smallint": {"integer", "bigint", "numeric", "real", "double precision"},
    "integer": {"bigint", "numeric", "double precision"},
    "bigint": {"numeric"},
    "real": {"double precision"},
    "date": {"timestamp without time zone"},
}
_TOTAL_ON_TEXT = {"lower", "upper", "btrim", "ltrim", "rtrim", "initcap", "concat"}
_TOTAL_NODES = {"ColumnRef", "FuncCall", "CoalesceExpr", "A_Const", "A_Expr ||"}
_TEXTS = {"text", "character varying"}
_SPELLED_OUT = _TEXTS | {"smallint", "integer", "bigint", "boolean", "uuid", "numeric", "date"}


def checked(
    context: Context, table: Table, expression: Expression, *, row: Mapping[str, str], wanted: str, field: str
) -> Facts:
    """Refuse an expression that the server does not accept for the wanted type."""
    facts = context.probe.expression(expression, table=table.name.name, row=row, wanted=wanted)
    if not facts.assignable:
        context.refuse(
            f"{field} gives {facts.type}, the column wants {wanted}",
            why="PostgreSQL converts between these only when told to",
            fix=f"write ({expression})::{wanted}",
        )
    return facts


def is_total(expression: Expression, row: Mapping[str, str], wanted: str) -> bool:
    """No value can make the expression fail when assigned to `wanted`: known only for a few safe forms."""
    if (column := expression.is_column) is not None:
        given = row.get(column)
        return given == wanted or (given is not None and _fits(given, wanted))
    called = {".".join(name) for name in expression.functions}
    texts = all(row.get(column) == "text" for column in expression.columns(""))
    return wanted == "text" and texts and called <= _TOTAL_ON_TEXT and expression.nodes <= _TOTAL_NODES


def refuse_dependents(context: Context, table: Table, columns: frozenset[str]) -> tuple[Hazard, ...]:
    """Refuse by name what would keep pointing at a leaving column; function bodies are only evidence."""
    blocking = [d for d in table.dependents if d.columns & columns and d.kind != "function body"]
    if blocking:
        first = blocking[0]
        context.refuse(
            f"{table.name} ({', '.join(sorted(columns))}) is used by {_named(blocking)}",
            why=f"the {first.kind} names the column itself: it would keep reading the old one, and hinder its drop",
            fix="drop it before and create it again after this migration, with `sql` changes or in your own tool",
        )
    key = {name for c in table.constraints if c.kind in ("primary_key", "exclude") for name in c.columns} & columns
    if key:
        context.refuse(
            f"{', '.join(sorted(key))} is in the primary key or an exclusion constraint of {table.name}",
            why="a key is replaced together with everything that references it",
            fix="use widen_key or replace_key",
        )
    partitioned = table.partition_key or ""
    if any(column in partitioned for column in columns):
        context.refuse(f"{table.name} is partitioned by {partitioned}", why="a partition key cannot be replaced")
    texts = [d for d in table.dependents if d.kind == "function body"]
    return tuple(
        Hazard("function-body", "warning", f"{d.name} names {table.name}: see that it does not use a leaving column")
        for d in texts
    )


def refuse_own_sequence(context: Context, table: Table, column: Column) -> None:
    """A column with a sequence of its own would take the sequence with it."""
    owned = [s for s in context.catalog.sequences.values() if s.owned_by == (table.name, column.name)]
    if column.identity or owned:
        context.refuse(
            f"{table.name}.{column.name} has a sequence of its own",
            why="dropping the old column would drop the sequence",
            fix="use widen_key, which carries it over",
        )
    if column.generated:
        context.refuse(f"{table.name}.{column.name} is a generated column", why="it cannot be written")


def refuse_late_triggers(context: Context, table: Table, columns: frozenset[str]) -> None:
    """A user trigger that assigns a mapped column after ours would go unseen: triggers fire in order of name."""
    for trigger in table.triggers:
        late = trigger.before and trigger.row and trigger.name > "_cf_" and not trigger.name.startswith("_cf_")
        touched = [c for c in sorted(columns) if _assigns(trigger.body, c)]
        if late and touched:
            context.refuse(
                f"trigger {trigger.name} of {table.name} assigns {', '.join(touched)} after the sync trigger",
                why="BEFORE triggers fire in order of name, so the new side would miss what it writes",
                fix=f'ALTER TRIGGER "{trigger.name}" ON {table.name} RENAME TO "A_{trigger.name}"',
            )


def _assigns(body: str, column: str) -> bool:
    squeezed = body.lower().replace('"', "").replace(" ", "")
    name = column.lower()
    return any(f"new.{name}{sign}" in squeezed for sign in (":=", "=")) or f"into new.{name}" in body.lower()


def _fits(given: str, wanted: str) -> bool:
    if wanted in _WIDENING.get(given, ()):
        return True
    return wanted in _TEXTS and given.partition("(")[0] in _SPELLED_OUT


def _named(dependents: list[Dependent]) -> str:
    return ", ".join(f"{d.kind} {d.name}" for d in dependents)
