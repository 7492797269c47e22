"""What reads a column that is replaced, and is made again so that it reads the one that takes its place.

A view, rule, policy, trigger, virtual generated column or extended statistics holds on to a column by its number in the
table, whatever that is called. So once a turn has changed names, each is told its definition of before again, while the
names in it mean the new columns; on the way back, while they mean the old ones. No definition is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from crossfade.catalog.model import Column, Name, Policy, Rule, Statistics, Trigger, View
from crossfade.composing import sql
from crossfade.spec.fragment import trusted
from crossfade.spec.model import Stage
from crossfade.steps import again
from crossfade.steps.compose import identifier, lock, relation, text
from crossfade.steps.rows import Pair, Sides
from crossfade.steps.step import Ddl, Leg, Lock, Relation


@dataclass(frozen=True)
class Follower:
    """One of them.

    shown: what it is, for people. relation: what is locked for it. height: how many views stand between it and the
    table. drop: what takes it away before any is made again; empty where it is replaced as it stands. told: facts of
    it, each beginning with its kind, as `facts` asks for them. sampled: it is empty until the table is analysed.
    """

    shown: str
    relation: Name
    height: int
    make: tuple[str, ...]
    facts: sql.Composable
    told: tuple[str, ...]
    drop: tuple[str, ...] = ()
    sampled: bool = False


def following_view(view: View, height: int, *, rebuilt: bool) -> Follower:
    """rebuilt: its columns get other types, which no CREATE OR REPLACE can give them."""
    told = [f"query {view.definition}", *(f"option {option}" for option in view.options)]
    if rebuilt:
        told += [f"owner {view.owner}", f"comment {view.comment}"]
        told += [f"grant {item}" for item in view.grants]
        told += [f"column {c.name} {c.default} {c.comment}" for c in view.columns]
        told += [f"grant on {c.name} {item}" for c in view.columns for item in c.grants]
        told += [f"trigger {t.enabled} {t.comment} {t.definition}" for t in view.triggers]
        told += [f"rule {r.enabled} {r.comment} {r.definition}" for r in view.rules]
        told += [f"index {i.comment} {i.definition}" for i in view.indexes]
    kind = trusted(view.kind.upper())
    return Follower(
        shown=f"{view.kind} {view.name}",
        relation=view.name,
        height=height,
        drop=text(sql.SQL("DROP {} {}").format(kind, identifier(view.name))) if rebuilt else (),
        make=again.view(view) if rebuilt else (again.replaced(view),),
        facts=sql.SQL(_ALL_OF_VIEW if rebuilt else _QUERY_OF_VIEW).format(_oid(view.name)),
        told=tuple(told),
    )


def following_rule(relation: Name, rule: Rule) -> Follower:
    return Follower(
        shown=f"rule {rule.name} on {relation}",
        relation=relation,
        height=_LAST,
        make=text(*again.rule(relation, rule)),
        facts=sql.SQL(
            "SELECT pg_catalog.concat('rule ', r.ev_enabled, ' ', pg_catalog.pg_get_ruledef(r.oid))"
            " FROM pg_rewrite AS r WHERE r.ev_class = {} AND r.rulename = {}"
        ).format(_oid(relation), sql.Literal(rule.name)),
        told=(f"rule {rule.enabled} {rule.definition}",),
    )


def following_policy(table: Name, policy: Policy) -> Follower:
    return Follower(
        shown=f"policy {policy.name} on {table}",
        relation=table,
        height=_LAST,
        make=text(again.policy_conditions(table, policy)),
        facts=sql.SQL(
            "SELECT pg_catalog.concat('using ', pg_catalog.pg_get_expr(p.polqual, p.polrelid),"
            " ' check ', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))"
            " FROM pg_policy AS p WHERE p.polrelid = {} AND p.polname = {}"
        ).format(_oid(table), sql.Literal(policy.name)),
        told=(f"using {policy.using or ''} check {policy.check or ''}",),
    )


def following_trigger(table: Name, trigger: Trigger, *, rebuilt: bool) -> Follower:
    """rebuilt: PostgreSQL replaces it neither where it is a constraint nor where partitions have copies of it."""
    named = sql.SQL("{} ON {}").format(sql.Identifier(trigger.name), identifier(table))
    return Follower(
        shown=f"trigger {trigger.name} on {table}",
        relation=table,
        height=_LAST,
        drop=text(sql.SQL("DROP TRIGGER {}").format(named)) if rebuilt else (),
        make=text(*again.trigger(table, trigger)),
        facts=sql.SQL(
            "SELECT pg_catalog.concat('trigger ', t.tgenabled, ' ', pg_catalog.pg_get_triggerdef(t.oid))"
            " FROM pg_trigger AS t WHERE t.tgrelid = {} AND t.tgname = {}"
        ).format(_oid(table), sql.Literal(trigger.name)),
        told=(f"trigger {trigger.enabled} {trigger.definition}",),
    )


def following_statistics(table: Name, found: Statistics) -> Follower:
    """Extended statistics, which PostgreSQL would drop with any of their columns."""
    return Follower(
        shown=f"statistics {found.name}",
        relation=table,
        height=_LAST,
        drop=text(sql.SQL("DROP STATISTICS {}").format(identifier(found.name))),
        make=text(*again.statistics(found)),
        facts=sql.SQL(
            "SELECT pg_catalog.concat('statistics ', pg_catalog.pg_get_userbyid(s.stxowner), ' ',"
            " nullif(s.stxstattarget, -1), ' ', pg_catalog.obj_description(s.oid, 'pg_statistic_ext'), ' ',"
            " pg_catalog.pg_get_statisticsobjdef(s.oid))"
            " FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace"
            " WHERE n.nspname = {} AND s.stxname = {}"
        ).format(sql.Literal(found.name.schema), sql.Literal(found.name.name)),
        told=(f"statistics {found.owner} {found.told_target} {found.comment or ''} {found.definition}",),
        sampled=True,
    )


def following_generated(table: Name, column: Column) -> Follower:
    """A virtual generated column, of which no row holds a value."""
    return Follower(
        shown=f"generated column {table}.{column.name}",
        relation=table,
        height=_LAST,
        make=text(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET EXPRESSION AS ({})").format(
                identifier(table), sql.Identifier(column.name), trusted(column.default or "")
            )
        ),
        facts=sql.SQL(
            "SELECT 'generated as ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d"
            " JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum"
            " WHERE d.adrelid = {} AND a.attname = {}"
        ).format(_oid(table), sql.Literal(column.name)),
        told=(f"generated as {column.default}",),
    )


_LAST = 1000  # after every view: it may read one that is made again

_QUERY_OF_VIEW = """
SELECT 'query ' || pg_catalog.pg_get_viewdef(c.oid) FROM pg_class AS c WHERE c.oid = {0}
UNION ALL
SELECT 'option ' || o FROM pg_class AS c, pg_catalog.unnest(c.reloptions) AS o WHERE c.oid = {0}"""

_ALL_OF_VIEW = f"""{_QUERY_OF_VIEW}
UNION ALL
SELECT fact FROM pg_class AS c
 CROSS JOIN LATERAL (VALUES ('owner ' || pg_catalog.pg_get_userbyid(c.relowner)),
                            ('comment ' || coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), 'None'))) AS f (fact)
 WHERE c.oid = {{0}}
UNION ALL
SELECT 'grant ' || g::text
  FROM pg_class AS c, pg_catalog.unnest(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) AS g
 WHERE c.oid = {{0}}
UNION ALL
SELECT pg_catalog.concat('column ', a.attname, ' ', coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'None'), ' ',
                         coalesce(pg_catalog.col_description(a.attrelid, a.attnum), 'None'))
  FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = {{0}} AND a.attnum > 0
UNION ALL
SELECT pg_catalog.concat('grant on ', a.attname, ' ', g::text)
  FROM pg_attribute AS a, pg_catalog.unnest(a.attacl) AS g WHERE a.attrelid = {{0}}
UNION ALL
SELECT pg_catalog.concat('trigger ', t.tgenabled, ' ',
                         coalesce(pg_catalog.obj_description(t.oid, 'pg_trigger'), 'None'), ' ',
                         pg_catalog.pg_get_triggerdef(t.oid))
  FROM pg_trigger AS t WHERE t.tgrelid = {{0}} AND NOT t.tgisinternal
UNION ALL
SELECT pg_catalog.concat('rule ', r.ev_enabled, ' ',
                         coalesce(pg_catalog.obj_description(r.oid, 'pg_rewrite'), 'None'), ' ',
                         pg_catalog.pg_get_ruledef(r.oid))
  FROM pg_rewrite AS r WHERE r.ev_class = {{0}} AND r.rulename <> '_RETURN'
UNION ALL
SELECT pg_catalog.concat('index ', coalesce(pg_catalog.obj_description(i.indexrelid, 'pg_class'), 'None'), ' ',
                         pg_catalog.pg_get_indexdef(i.indexrelid))
  FROM pg_index AS i WHERE i.indrelid = {{0}}"""


def _oid(relation: Name) -> sql.Composable:
    return sql.SQL("pg_catalog.to_regclass({})::oid").format(sql.Literal(identifier(relation).as_string(None)))


def followers(pairs: Iterable[Pair]) -> tuple[Follower, ...]:
    """Of all these pairs, each once and whole: views from the table upwards, then the rest."""
    found: dict[str, Follower] = {}
    for follower in (each for pair in pairs for each in pair.followers):
        if follower.shown not in found or follower.drop:
            found[follower.shown] = follower
    return ordered(found.values())


def ordered(following: Iterable[Follower]) -> tuple[Follower, ...]:
    """As they are made."""
    return tuple(sorted(following, key=lambda each: (each.height, each.shown)))


def carried_over(sides: Sides, stage: Stage, *, forth: bool) -> Iterator[str]:
    """After names were changed: each follower again, while the old names mean what takes their place, or took it.
    Those that cannot be replaced as they stand were taken away before.
    """
    turning = [pair for pair in sides.pairs if pair.turns_at == stage]
    following = followers(turning)
    # A pair that swaps has given its new column the old name already.
    shown_as = [
        (pair.new[0].name, pair.old[0])
        for pair in turning
        if forth and pair.followers and not pair.swap and pair.new[0].name != pair.old[0]
    ]
    yield from text(*(sides.alter("RENAME COLUMN {} TO {}", new, old) for new, old in shown_as if following))
    yield from made_again(following)
    yield from text(*(sides.alter("RENAME COLUMN {} TO {}", old, new) for new, old in shown_as if following))


def taken_away(following: Sequence[Follower]) -> Iterator[str]:
    """Those that cannot be replaced as they stand, the highest before what it reads."""
    for follower in reversed(following):
        yield from follower.drop


def made_again(following: Sequence[Follower]) -> Iterator[str]:
    for follower in following:
        yield from follower.make


def sampled_again(step_id: str, leg: Leg, database: str, following: Iterable[Follower]) -> Iterator[Ddl]:
    """Extended statistics that were made again are empty until their table is analysed. step_id: of what made them."""
    for sampled in dict.fromkeys(each.relation for each in following if each.sampled):
        yield Ddl(
            id=f"{step_id}/analyze/{sampled}",
            leg=leg,
            database=database,
            title=f"sample {sampled} for the statistics that were made again",
            locks=lock(relation(sampled), "SHARE UPDATE EXCLUSIVE"),
            statements=text(sql.SQL("ANALYZE {}").format(identifier(sampled))),
            scans=True,
        )


def lock_followers(table: Relation | None, following: Iterable[Follower]) -> tuple[Lock, ...]:
    """Under which nobody reads a view for an instant; `table` is locked already."""
    relations = dict.fromkeys(relation(each.relation) for each in following)
    return tuple(found for each in relations if each != table for found in lock(each, "ACCESS EXCLUSIVE"))
