"""What the catalog knows of views, rules, triggers, policies and statistics, as statements that make them again.

Definitions are as pg_dump prints them: names qualified, so that they mean the same under any search_path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import LiteralString

from crossfade.catalog.model import Name, Policy, Rule, Statistics, Trigger, View
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.steps.carry import told_of_index
from crossfade.steps.compose import identifier, text
from crossfade.steps.privileges import grants, privileges_again
from crossfade.steps.tuning import Tuning

_ENABLED: dict[str, LiteralString] = {"D": "DISABLE {} {}", "R": "ENABLE REPLICA {} {}", "A": "ENABLE ALWAYS {} {}"}


def replaced(view: View) -> str:
    """The view with its query again, over whatever bears the names in it now; all else of it stays."""
    return _created(view, sql.SQL("CREATE OR REPLACE VIEW")).as_string(None)


def view(found: View) -> tuple[str, ...]:
    """A view or materialized view, with all that was told of it. One that was filled is filled again."""
    name = identifier(found.name)
    kind = trusted(found.kind.upper())
    return text(
        _created(found, sql.SQL("CREATE {}").format(kind)),
        sql.SQL("ALTER {} {} OWNER TO {}").format(kind, name, sql.Identifier(found.owner)),
        *_columns(found, kind),
        *(statement for each in found.rules for statement in rule(found.name, each)),
        *(statement for each in found.triggers for statement in trigger(found.name, each)),
        *(statement for each in found.indexes for statement in _index(found, each.name)),
        *comment(kind, name, found.comment),
        *privileges_again("TABLE", name, found.grants),
        *(
            statement
            for column in found.columns
            for statement in grants(sql.SQL("TABLE {}").format(name), column.grants, column.name)
        ),
    )


def _created(found: View, create: sql.Composable) -> sql.Composable:
    parts: list[sql.Composable] = [create, identifier(found.name)]
    if found.materialized and found.access_method is not None:
        parts.append(sql.SQL("USING {}").format(sql.Identifier(found.access_method)))
    if found.options:
        parts.append(sql.SQL("WITH ({})").format(sql.SQL(", ").join(map(option, found.options))))
    if found.tablespace is not None:
        parts.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(found.tablespace)))
    parts.append(sql.SQL("AS\n{}").format(trusted(found.definition.rstrip().rstrip(";"))))
    if found.materialized:
        parts.append(sql.SQL("\nWITH DATA" if found.populated else "\nWITH NO DATA"))
    return sql.SQL(" ").join(parts)


def option(said: str) -> sql.Composable:
    """`security_barrier=true`, or of its TOAST table `toast.autovacuum_enabled=false`."""
    key, _, value = said.partition("=")
    return sql.SQL("{} = {}").format(sql.SQL(".").join(map(sql.Identifier, key.split("."))), sql.Literal(value))


def _columns(found: View, kind: sql.Composable) -> Iterator[sql.Composable]:
    name = identifier(found.name)
    for column in found.columns:
        if column.default is not None:
            yield sql.SQL("ALTER {} {} ALTER COLUMN {} SET DEFAULT {}").format(
                kind, name, sql.Identifier(column.name), trusted(column.default)
            )
        for clause in Tuning.of(column).clauses(column.name) if found.materialized else ():
            yield sql.SQL("ALTER {} {} {}").format(kind, name, clause)
        of_view = sql.Identifier(found.name.schema, found.name.name, column.name)
        yield from comment(sql.SQL("COLUMN"), of_view, column.comment)


def _index(found: View, index: str) -> Iterator[sql.Composable]:
    made = next(each for each in found.indexes if each.name == index)
    yield trusted(made.definition)
    yield from told_of_index(found, made, index)


def rule(relation: Name, found: Rule) -> tuple[sql.Composable, ...]:
    """Replaces one of that name."""
    named = sql.SQL("{} ON {}").format(sql.Identifier(found.name), identifier(relation))
    return (
        trusted(found.definition.rstrip(";").replace("CREATE RULE", "CREATE OR REPLACE RULE", 1)),
        *_enabled(relation, sql.SQL("RULE"), found.name, found.enabled),
        *comment(sql.SQL("RULE"), named, found.comment),
    )


def trigger(relation: Name, found: Trigger) -> tuple[sql.Composable, ...]:
    """Replaces one of that name, but for a constraint trigger, which must be gone."""
    named = sql.SQL("{} ON {}").format(sql.Identifier(found.name), identifier(relation))
    return (
        trusted(found.definition.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1)),
        *_enabled(relation, sql.SQL("TRIGGER"), found.name, found.enabled),
        *comment(sql.SQL("TRIGGER"), named, found.comment),
    )


def policy(relation: Name, found: Policy) -> tuple[sql.Composable, ...]:
    """One that is not there."""
    named = sql.SQL("{} ON {}").format(sql.Identifier(found.name), identifier(relation))
    roles = [sql.SQL("PUBLIC") if role == "public" else sql.Identifier(role) for role in found.roles]
    return (
        sql.SQL("CREATE POLICY {} AS {} FOR {} TO {}{}").format(
            named,
            sql.SQL("PERMISSIVE" if found.permissive else "RESTRICTIVE"),
            trusted(found.command.upper()),
            sql.SQL(", ").join(roles),
            _conditions(found),
        ),
        *comment(sql.SQL("POLICY"), named, found.comment),
    )


def policy_conditions(relation: Name, found: Policy) -> sql.Composable:
    """The same policy over whatever bears the names in its conditions now."""
    named = sql.SQL("{} ON {}").format(sql.Identifier(found.name), identifier(relation))
    return sql.SQL("ALTER POLICY {}{}").format(named, _conditions(found))


def _conditions(found: Policy) -> sql.Composable:
    said = [
        sql.SQL(" {} ({})").format(word, trusted(condition))
        for word, condition in ((sql.SQL("USING"), found.using), (sql.SQL("WITH CHECK"), found.check))
        if condition is not None
    ]
    return sql.Composed(said)


def statistics(found: Statistics) -> tuple[sql.Composable, ...]:
    """Those that are not there."""
    kind, name = sql.SQL("STATISTICS"), identifier(found.name)
    target = sql.SQL("ALTER STATISTICS {} SET STATISTICS {}").format(name, sql.Literal(found.target))
    return (
        trusted(found.definition),
        *([target] if found.target is not None else []),
        sql.SQL("ALTER STATISTICS {} OWNER TO {}").format(name, sql.Identifier(found.owner)),
        *comment(kind, name, found.comment),
    )


def comment(kind: sql.Composable, named: sql.Composable, said: str | None) -> Sequence[sql.Composable]:
    return [] if said is None else [sql.SQL("COMMENT ON {} {} IS {}").format(kind, named, sql.Literal(said))]


def _enabled(relation: Name, kind: sql.Composable, name: str, enabled: str) -> Iterator[sql.Composable]:
    if enabled in _ENABLED:
        clause = sql.SQL(_ENABLED[enabled]).format(kind, sql.Identifier(name))
        yield sql.SQL("ALTER TABLE {} {}").format(identifier(relation), clause)
