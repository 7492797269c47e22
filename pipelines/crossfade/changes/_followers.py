"""What follows a column to the one that replaces it: views, rules, policies, triggers, extended statistics, virtual
generated columns; and what cannot, by name.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from crossfade.catalog.model import Catalog, Column, Dependent, Name, Table, Trigger, View
from crossfade.changes._change import Hazard, Refused
from crossfade.changes._context import Context
from crossfade.changes._mapping import expect
from crossfade.changes._obstacles import refuse_dependents
from crossfade.changes._stand_ins import Row, over_stand_ins, when_over_stand_ins
from crossfade.spec.fragment import Expression
from crossfade.steps.followers import (
    Follower,
    following_generated,
    following_policy,
    following_rule,
    following_statistics,
    following_trigger,
    following_view,
)


@dataclass(frozen=True)
class Following:
    """followers: of the column, as its pair has them. hazards: what a reviewer should know of them, and of the rest."""

    followers: tuple[Follower, ...]
    hazards: tuple[Hazard, ...]


class Refuse(Protocol):
    """Refuses by name what points at leaving columns, besides what is seen to."""

    def __call__(
        self, context: Context, table: Table, columns: frozenset[str], *, besides: Collection[Dependent]
    ) -> tuple[Hazard, ...]: ...


def following(
    context: Context, table: Table, column: Column, wanted: str, stage: str, *, refuse: Refuse = refuse_dependents
) -> Following:
    """Refuses what reads the column and cannot be made again over one of the type `wanted`.

    stage: when it is. refuse: what else points at the column.
    """
    catalog = context.catalog
    retyped = wanted != column.type
    heights = _views(context, table, column, through=retyped)
    found: dict[str, Follower] = {}
    seen: list[Dependent] = []
    for part in catalog.tree(table.name):
        for dependent in part.dependents:
            if column.name not in dependent.columns:
                continue
            # A view that is replaced as it stands keeps what is over it.
            if not retyped and column.name not in dependent.named:
                seen.append(dependent)
            elif follower := _follower(context, part, dependent, column.name, heights, retyped=retyped):
                found[follower.shown] = follower
                seen.append(dependent)
            elif _comes_along(part, dependent, heights, retyped=retyped):
                seen.append(dependent)
    hazards = refuse(context, table, frozenset({column.name}), besides=seen)
    if retyped:
        _refuse_misfits(context, table, column, wanted, heights)
    followers = tuple(found.values())
    return Following(followers, (*hazards, *_told(table, column, followers, stage)))


def _views(context: Context, table: Table, column: Column, *, through: bool) -> dict[Name, int]:
    """The views that read the column, each with how many views stand between; `through`: those over these, too."""
    catalog = context.catalog
    trees = {part.name for part in catalog.tree(table.name)}
    views = [view for view in catalog.views.values() if not context.is_rewritten(view.name)]
    heights = {view.name: 0 for view in views if any((part, column.name) in view.reads for part in trees)}
    grown = bool(heights) and through
    while grown:
        grown = False
        for view in views:
            below = [heights[read] for read, _ in view.reads if read in heights and read != view.name]
            height = max(below, default=-1) + 1
            if below and heights.get(view.name, -1) < height <= len(catalog.views):
                heights[view.name] = height
                grown = True
    return heights


def _follower(
    context: Context, part: Table, dependent: Dependent, column: str, heights: Mapping[Name, int], *, retyped: bool
) -> Follower | None:
    """None: it cannot be made again, or is no thing of its own."""
    catalog, of = context.catalog, dependent.of
    if dependent.kind == "statistics":
        return next(following_statistics(part.name, e) for e in part.statistics if str(e.name) == dependent.name)
    if dependent.kind == "generated column":
        return _following_generated(part, part.by_name[dependent.name])
    if of is None:
        return None
    called = dependent.name.removesuffix(f" on {of}")
    named = column in dependent.named
    relation = catalog.views.get(of) or catalog.tables.get(of)
    match dependent.kind, relation:
        case "view", View() if of in heights and relation.extension is None:
            return following_view(relation, heights[of], rebuilt=retyped)
        case "materialized view", View() if of in heights and relation.extension is None and not relation.populated:
            # Nobody can read it as it is; what is over it would hinder the drop where it is not rebuilt too.
            return following_view(relation, heights[of], rebuilt=True) if retyped or not _users(relation) else None
        case "rule", View() | Table() if not retyped:
            return next(following_rule(of, each) for each in relation.rules if each.name == called)
        case "policy", Table() if named:
            return next(following_policy(of, each) for each in relation.policies if each.name == called)
        case "trigger", Table() if named:
            trigger = next(each for each in relation.triggers if each.name == called)
            return None if trigger.inherited else _following_trigger(catalog, relation, trigger)
        case _:
            return None


def _users(view: View) -> list[Dependent]:
    """What stands over it, functions that only say its name aside."""
    return [each for each in view.dependents if each.kind != "function body"]


def _following_generated(table: Table, column: Column) -> Follower | None:
    """Where another expression is a matter of the catalog alone."""
    checked = any(constraint.kind == "check" for constraint in table.constraints)
    if column.generated != "virtual" or column.not_null or checked or table.publications or table.partition_of:
        return None
    return following_generated(table.name, column)


def _comes_along(part: Table, dependent: Dependent, heights: Mapping[Name, int], *, retyped: bool) -> bool:
    """A rule with the view that is rebuilt, a trigger or generated column with that of the partitioned table."""
    if dependent.kind == "rule":
        return retyped and dependent.of in heights
    if dependent.kind == "generated column":
        return part.partition_of is not None
    copies = (f"{trigger.name} on {part.name}" for trigger in part.triggers if trigger.inherited)
    return dependent.kind == "trigger" and dependent.name in copies


def _following_trigger(catalog: Catalog, table: Table, trigger: Trigger) -> Follower | None:
    """Not one that was switched off for single partitions, which its copies would forget."""
    copies = [
        copy.enabled
        for part in catalog.tree(table.name)
        for copy in part.triggers
        if copy.inherited and copy.name == trigger.name
    ]
    if any(enabled != trigger.enabled for enabled in copies):
        return None
    rebuilt = trigger.definition.startswith("CREATE CONSTRAINT") or table.kind == "partitioned"
    return following_trigger(table.name, trigger, rebuilt=rebuilt)


def _refuse_misfits(context: Context, table: Table, column: Column, wanted: str, heights: Mapping[Name, int]) -> None:
    """Asked now rather than found at cutover: does each make sense of the other type?"""
    row = {**context.row_types(table), column.name: wanted}
    for part in context.catalog.tree(table.name):
        for policy in part.policies:
            for condition in (policy.using, policy.check) if column.name in policy.reads else ():
                if condition is not None:
                    with _told_of(context, f"policy {policy.name} of {part.name}", column, wanted):
                        context.probe.expression(Expression(condition), table=part.name.name, row=row)
        for made in (each for each in part.columns if each.generated and each.default is not None):
            generated = Expression(made.default or "")
            if column.name in generated.columns(part.name.name):
                with _told_of(context, f"generated column {part.name}.{made.name}", column, wanted):
                    expect(
                        context,
                        generated,
                        table=part.name.name,
                        row=row,
                        wanted=made.type,
                        field=f"the value of {made.name}",
                    )
        for statistics in part.statistics:
            for text in statistics.expressions:
                with _told_of(context, f"statistics {statistics.name}", column, wanted):
                    context.probe.expression(Expression(text), table=part.name.name, row=row)
        for trigger in part.user_triggers:
            if asked := when_over_stand_ins(trigger.definition, row):
                with _told_of(context, f"trigger {trigger.name} of {part.name}", column, wanted):
                    context.probe.fits(asked)
    rows: dict[Name, Row] = {part.name: row for part in context.catalog.tree(table.name)}
    for name in sorted(heights, key=lambda view: (heights[view], view)):
        view = context.catalog.views[name]
        with _told_of(context, f"{view.kind} {name}", column, wanted):
            gives = context.probe.fits(over_stand_ins(view.definition, rows))
        rows[name] = dict(gives) if gives is not None else {each.name: each.type for each in view.columns}


@contextmanager
def _told_of(context: Context, shown: str, column: Column, wanted: str) -> Generator[None]:
    try:
        yield
    except Refused as refused:
        context.refuse(
            f"{shown} does not fit {column.name} as {wanted}: {refused.what}",
            why="it is made again over the column that replaces the old one, as it is",
            fix=f"let it cast the column to {column.type} (it may say so now already), or drop it before this migration"
            " and create it again after",
        )


def _told(table: Table, column: Column, followers: tuple[Follower, ...], stage: str) -> Iterator[Hazard]:
    if followers:
        shown = ", ".join(sorted(each.shown for each in followers))
        what = f"{shown}: made again at {stage}, in the transaction in which {table.name}.{column.name} is replaced"
        yield Hazard("carried-over", "note", what)
