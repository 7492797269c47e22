"""Triggers of the user's, and what a change of columns does to them: refused by name with a way out, or told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from crossfade.catalog.dependents import words
from crossfade.catalog.model import OWN_PREFIX, Column, Function, Table, Trigger
from crossfade.changes._change import Hazard
from crossfade.changes._context import Context
from crossfade.changes._row_use import row_use
from crossfade.composing import sql
from crossfade.spec.model import Stage
from crossfade.steps.compose import identifier

_WRITES = {"insert", "update"}
# Of PostgreSQL and its contrib modules, by the symbol: they write no column but those that their arguments name.
_BOUND_BY_ARGUMENTS = {
    "autoinc",
    "check_foreign_key",
    "check_primary_key",
    "insert_username",
    "lo_manage",
    "moddatetime",
    "suppress_redundant_updates_trigger",
    "tsvector_update_trigger_bycolumn",
    "tsvector_update_trigger_byid",
}


def refuse_late_triggers(context: Context, table: Table, columns: frozenset[str]) -> None:
    """A trigger that assigns a mapped column after ours would go unseen: triggers fire in order of name."""
    for part in context.catalog.tree(table.name):
        for trigger in part.user_triggers:
            if not (trigger.before and trigger.row and trigger.name > OWN_PREFIX and trigger.events & _WRITES):
                continue
            assigned = may_assign(trigger)
            touched = ", ".join(sorted(columns if assigned is None else columns & assigned))
            does = "assigns" if assigned is not None else "may assign"
            if touched:
                context.refuse(
                    f"trigger {trigger.name} of {part.name} {does} {touched} after the sync trigger",
                    why="BEFORE triggers fire in order of name, so the new side would miss what it writes"
                    + ("" if assigned is not None else f"; nobody can tell what {trigger.function} does to the row"),
                    fix=f'ALTER TRIGGER "{trigger.name}" ON {part.name} RENAME TO "A_{trigger.name}"',
                )


def may_assign(trigger: Trigger) -> frozenset[str] | None:
    """The columns that it may assign; None: any of them."""
    if trigger.language in ("c", "internal") and trigger.body in _BOUND_BY_ARGUMENTS:
        return frozenset(trigger.arguments)
    return row_use(trigger.body).assigned if trigger.language == "plpgsql" else None


def refuse_naming_triggers(
    context: Context, table: Table, column: str, *, gone_from: Stage = "retire"
) -> tuple[Hazard, ...]:
    """No rename reaches what a function's text names: once the name is gone the trigger fails, the write with it."""
    hazards: list[Hazard] = []
    for part, trigger in _made_by_users(context, table):
        named = _named(context, part, trigger, column)
        if named and trigger.enabled != "D":
            context.refuse(
                f"trigger {trigger.name} of {part.name} {named}",
                why=f"from {gone_from} on there is no {column}, and every write that fires the trigger would fail",
                fix=f"let {trigger.function} do without the name (to_jsonb(new) ->> '{column}' is NULL where the column"
                " is gone); or drop the trigger before and create it again after this migration, with `sql` changes or"
                " in your own tool",
            )
        if named or _says(trigger, column):
            hazards.append(
                Hazard(
                    "trigger-body",
                    "warning",
                    f"trigger {trigger.name} of {part.name} says {column} in {trigger.function}: see that it works"
                    f" where there is no such column, from {gone_from} on",
                )
            )
        elif trigger.language == "c" and trigger.body not in _BOUND_BY_ARGUMENTS:
            what = f"nobody can tell whether trigger {trigger.name} of {part.name}, in C, needs {column}"
            hazards.append(Hazard("trigger-body", "warning", what, f"see that it works without, from {gone_from} on"))
    return tuple(hazards)


@dataclass(frozen=True)
class Readers:
    """The functions by which triggers read a column that gets another type, as the role may alter them; what to say."""

    signatures: tuple[str, ...]
    hazards: tuple[Hazard, ...]


def readers(context: Context, table: Table, column: Column, wanted: str) -> Readers:
    """Sessions that ran these functions would fail with each write once the type is another, if it were not for us."""
    retyped = wanted != column.type
    becomes = f"which is {wanted}" if retyped else "which holds the new values"
    signatures: list[str] = []
    hazards: list[Hazard] = []
    for part, trigger in _made_by_users(context, table):
        functions = tuple(_reading(context, part, trigger, column.name))
        if functions or _says(trigger, column.name):
            where = functions[0].name if functions else trigger.function
            what = f"trigger {trigger.name} of {part.name} says {column.name} in {where}, {becomes} from cutover on"
            hazards.append(Hazard("trigger-body", "warning", what, "see that it works before and after"))
        for function in functions if retyped else ():
            if context.catalog.role.superuser or function.owner in context.catalog.role.member_of:
                signatures.append(_signature(function))
            else:
                hazards.append(_kept_types(function, trigger, part))
    return Readers(tuple(dict.fromkeys(signatures)), tuple(hazards))


def _reading(context: Context, table: Table, trigger: Trigger, column: str) -> Iterator[Function]:
    """The functions in PL/pgSQL that take the field of the row."""
    use = row_use(trigger.body)
    known = context.catalog.functions.get(f"{trigger.function}()")
    if known is not None and column in use.named:
        yield known
    if use.passes:
        yield from (f for f in _given_the_row(context, table, use.calls) if column in row_use(_text(f)).selected)


def _signature(function: Function) -> str:
    name = identifier(function.name).as_string(None)
    return f"{name}({function.arguments})"


def _kept_types(function: Function, trigger: Trigger, table: Table) -> Hazard:
    return Hazard(
        "kept-types",
        "danger",
        f"sessions that fired trigger {trigger.name} of {table.name} before cutover fail in {function} with each write"
        f" after it, until they end: PL/pgSQL keeps the old type, and only {function.owner} may alter the function",
        f"GRANT {sql.Identifier(function.owner).as_string(None)} to the role that migrates, and it is compiled anew; or"
        " end those sessions at cutover",
    )


def _made_by_users(context: Context, table: Table) -> Iterator[tuple[Table, Trigger]]:
    """The triggers of the table and its partitions, each where it was made."""
    for part in context.catalog.tree(table.name):
        yield from ((part, trigger) for trigger in part.user_triggers if not trigger.inherited)


def _says(trigger: Trigger, column: str) -> bool:
    return column in words(" ".join((trigger.body, *trigger.arguments)))


def _named(context: Context, table: Table, trigger: Trigger, column: str) -> str | None:
    """How the trigger takes the column by its name, where that is plain from its text."""
    if column in trigger.arguments:
        return f"gives {trigger.function} the name {column}"
    if trigger.language != "plpgsql":
        return None
    use = row_use(trigger.body)
    if column in use.named or (" REFERENCING " in trigger.definition and column in use.said):
        return f"names {column} in {trigger.function}"
    if use.passes and column in use.quoted:
        return f"selects {column} of the row in dynamic SQL of {trigger.function}"
    if use.passes:
        for helper in _given_the_row(context, table, use.calls):
            if column in row_use(_text(helper)).selected:
                return f"gives the row to {helper}, which selects {column}"
    return None


def _given_the_row(context: Context, table: Table, calls: Iterable[str]) -> Iterator[Function]:
    """The functions behind these calls that take a row of the table, and those that they call in turn."""
    takes_it = {"record", "anyelement", str(table.name)}
    waiting, seen = set(calls), set[str]()
    while waiting:
        called = waiting.pop()
        seen.add(called)
        for function in context.catalog.functions.values():
            if function.name.name == called and takes_it & set(function.arguments.replace('"', "").split(", ")):
                yield function
                waiting |= row_use(_text(function)).calls - seen


def _text(function: Function) -> str:
    return function.body or function.definition  # of a body in standard SQL
