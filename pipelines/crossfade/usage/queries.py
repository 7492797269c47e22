"""Walks a query: resolves each name in it to the columns of tables it stands for."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

from google.protobuf.message import Message
from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import Name
from crossfade.usage.nodes import bare, calls, given_name, last, parts_of, strings
from crossfade.usage.relations import Relations
from crossfade.usage.uses import NOTHING, ColumnUse, Item, Output, Scope, Uses, union

_SYSTEM = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"}


class Statements(Protocol):
    """Walks what changes rows, where it stands in a WITH."""

    def __call__(self, node: pg.Node, scope: Scope) -> tuple[Output, ...]: ...


class Queries:
    """Collects what queries use. said: names that stand for no column in sight."""

    def __init__(self, relations: Relations, statements: Statements) -> None:
        self.relations = relations
        self.uses: set[ColumnUse] = set()
        self.said: set[str] = set()
        self.called: set[tuple[tuple[str, ...], int]] = set()
        self._statements = statements
        self._views: dict[Name, tuple[tuple[Output, ...], Uses]] = {}

    # --- queries -------------------------------------------------------------------------------------

    def select(self, node: pg.SelectStmt, outer: Scope, *, lazily: bool = False) -> tuple[Output, ...]:
        """What the query gives. Its stars are used by whoever takes them; lazily: so is all that it selects."""
        scope = self.with_queries(node.with_clause, outer) if node.HasField("with_clause") else outer
        if node.HasField("larg"):
            left = self.select(node.larg, scope)
            right = self.select(node.rarg, scope)
            self.take(left)
            self.take(right)
            self._order(node.sort_clause, left, scope)
            self.walk_all((node.limit_count, node.limit_offset), scope)
            return tuple(Output(output.name) for output in left)
        if node.values_lists:
            self.walk_all(node.values_lists, scope)
            width = len(node.values_lists[0].list.items)
            return tuple(Output(f"column{place}") for place in range(1, width + 1))
        inside = scope.within(self.from_clause(node.from_clause, scope))
        outputs = tuple(self.targets(node.target_list, inside, lazily=lazily))
        self._group(node.group_clause, outputs, inside)
        self._order(node.sort_clause, outputs, inside)
        self._order(node.distinct_clause, outputs, inside)
        rest = (node.where_clause, node.having_clause, *node.window_clause, node.limit_count, node.limit_offset)
        self.walk_all(rest, inside)
        if node.HasField("into_clause"):
            self.take(outputs)
        return outputs

    def take(self, outputs: Sequence[Output]) -> None:
        self.uses |= union(outputs)

    def with_queries(self, clause: pg.WithClause, outer: Scope) -> Scope:
        known = dict(outer.queries)
        for node in clause.ctes:
            common = node.common_table_expr
            names = strings(common.aliascolnames)
            query = common.ctequery
            if clause.recursive and query.select_stmt.HasField("larg"):
                first = self.select(query.select_stmt.larg, Scope((), outer, known))
                known[common.ctename] = _named(first, names)
            given = self._statements(query, Scope((), outer, dict(known)))
            for column in (common.search_clause.search_seq_column, common.cycle_clause.cycle_mark_column):
                given += (Output(column),) if column else ()
            known[common.ctename] = _named(given, names)
        return Scope((), outer, known)

    def targets(self, nodes: Iterable[pg.Node], scope: Scope, *, lazily: bool = False) -> Iterator[Output]:
        for node in nodes:
            target = node.res_target
            if (star := self._star(target.val, scope)) is not None:
                yield from star
                continue
            with self._collecting() as used:
                self.walk(target.val, scope)
            if not lazily:
                self.uses |= used
            name = target.name or given_name(target.val)
            yield Output(name, frozenset(used) if lazily else NOTHING)

    def _star(self, value: pg.Node, scope: Scope) -> tuple[Output, ...] | None:
        """What `*`, `a.*` or `(a).*` gives; None: it is none of them."""
        if value.HasField("a_indirection"):
            indirection = value.a_indirection
            item = self._row(indirection.arg, scope)
            if item is not None and indirection.indirection[-1].HasField("a_star"):
                return item.columns
            return None
        if not value.HasField("column_ref") or not value.column_ref.fields[-1].HasField("a_star"):
            return None
        parts = parts_of(value.column_ref)
        if not parts:
            return tuple(output for item in scope.items if not item.qualified for output in item.columns)
        item = _item(scope, parts[:-1], parts[-1])
        if item is None:
            self.said.add(parts[-1])
        return item.columns if item is not None else ()

    def _row(self, value: pg.Node, scope: Scope) -> Item | None:
        """The item whose whole row the value is."""
        if not value.HasField("column_ref"):
            return None
        match parts_of(value.column_ref):
            case [alias] if scope.column(alias) is None:
                return scope.item(alias)
            case _:
                return None

    def _order(self, nodes: Iterable[pg.Node], outputs: Sequence[Output], scope: Scope) -> None:
        """A bare name means what the query gives, before what it reads."""
        for node in nodes:
            value = node.sort_by.node if node.HasField("sort_by") else node
            found = [output for output in outputs if output.name == bare(value)]
            if found:
                self.take(found)
            else:
                self.walk(value, scope)

    def _group(self, nodes: Iterable[pg.Node], outputs: Sequence[Output], scope: Scope) -> None:
        """A bare name means what the query reads, before what it gives."""
        for node in nodes:
            name = bare(node)
            if name is not None and scope.column(name) is None and any(output.name == name for output in outputs):
                continue
            self.walk(node, scope)

    # --- FROM ----------------------------------------------------------------------------------------

    def from_clause(self, nodes: Iterable[pg.Node], outer: Scope) -> list[Item]:
        items: list[Item] = []
        for node in nodes:
            items += self._from(node, outer, items)
        return items

    def _from(self, node: pg.Node, outer: Scope, before: Sequence[Item]) -> list[Item]:
        """before: what stands to the left, which LATERAL and functions see."""
        match node.WhichOneof("node"):
            case "range_var":
                return [self.relation(node.range_var, outer)]
            case "range_subselect":
                subselect = node.range_subselect
                seen = outer.within(before) if subselect.lateral else outer
                given = self.select(subselect.subquery.select_stmt, seen)
                return [Item("", given).renamed(subselect.alias.aliasname, strings(subselect.alias.colnames))]
            case "join_expr":
                return self._join(node.join_expr, outer, before)
            case "range_table_sample":
                self.walk_all(node.range_table_sample.args, outer)
                return self._from(node.range_table_sample.relation, outer, before)
            case "range_function":
                return [self._function(node.range_function, outer.within(before))]
            case _:  # XMLTABLE, JSON_TABLE
                part = cast("pg.RangeTableFunc | pg.JsonTable", getattr(node, node.WhichOneof("node") or ""))
                self.walk(part, outer.within(before))
                return [Item(part.alias.aliasname, (), complete=False)]

    def relation(self, node: pg.RangeVar, scope: Scope) -> Item:
        """A table, a view, or a query of WITH."""
        alias = node.alias.aliasname or node.relname
        columns = strings(node.alias.colnames)
        if not node.schemaname and node.relname in scope.queries:
            return Item("", scope.queries[node.relname]).renamed(alias, columns)
        name = self.relations.find(node.relname, node.schemaname or None)
        if name is None:
            return Item(alias, (), complete=False)
        item = Item(alias, self.columns_of(name), None if node.HasField("alias") else name.schema)
        return item.renamed(alias, columns) if columns else item

    def columns_of(self, name: Name) -> tuple[Output, ...]:
        """A view's, down to the tables; what its conditions read is used whatever is taken of it."""
        if name in self.relations.catalog.tables:
            columns = self.relations.columns(name)
            return tuple(Output(each.name, frozenset({ColumnUse(name, each.name, "reads")})) for each in columns)
        if name not in self._views:
            self._views[name] = ((), NOTHING)  # a view in a circle gives nothing more
            self._views[name] = self._view(name)
        outputs, always = self._views[name]
        self.uses |= always
        return outputs

    def _view(self, name: Name) -> tuple[tuple[Output, ...], Uses]:
        import postgast

        view = self.relations.catalog.views[name]
        names = [column.name for column in view.columns]
        if not view.definition:  # it was locked while the catalog was read
            self.said.update(names)
            return tuple(map(Output, names)), NOTHING
        with self._collecting() as always:
            tree = postgast.parse(view.definition)
            outputs = self.select(tree.stmts[0].stmt.select_stmt, Scope(), lazily=True)
        return _named(outputs, names), frozenset(always)

    def _join(self, join: pg.JoinExpr, outer: Scope, before: Sequence[Item]) -> list[Item]:
        left = self._from(join.larg, outer, before)
        right = self._from(join.rarg, outer, [*before, *left])
        shared = strings(join.using_clause)
        if join.is_natural:
            shared = [name for name in _names(left) if name in set(_names(right))]
        merged = [Output(name, _of_name(left, name) | _of_name(right, name)) for name in shared]
        self.take(merged)
        self.walk(join.quals, outer.within([*left, *right]))
        if join.HasField("alias"):
            others = [output for item in (*left, *right) for output in item.columns if output.name not in shared]
            item = Item("", (*merged, *others), complete=all(each.complete for each in (*left, *right)))
            return [item.renamed(join.alias.aliasname, strings(join.alias.colnames))]
        extra = [Item(join.join_using_alias.aliasname, tuple(merged), qualified=True)]
        return [*left, *right, *(extra if join.HasField("join_using_alias") else ())]

    def _function(self, node: pg.RangeFunction, scope: Scope) -> Item:
        for function in node.functions:
            self.walk(function, scope)
        alias = node.alias.aliasname
        if not alias:
            alias = next((last(call.func_call.funcname) for call in calls(node)), "")
        return Item(alias, tuple(Output(name) for name in strings(node.alias.colnames)), complete=False)

    # --- expressions ---------------------------------------------------------------------------------

    def walk_all(self, nodes: Iterable[Message], scope: Scope) -> None:
        for node in nodes:
            self.walk(node, scope)

    def walk(self, node: Message, scope: Scope) -> None:
        """Any expression."""
        if isinstance(node, pg.ColumnRef):
            self.uses |= self._reference(node, scope)
        elif isinstance(node, pg.SubLink):
            self.walk(node.testexpr, scope)
            given = self.select(node.subselect.select_stmt, scope)
            if node.sub_link_type != pg.EXISTS_SUBLINK:
                self.take(given)
        elif isinstance(node, pg.A_Indirection) and (item := self._row(node.arg, scope)) is not None:
            self.uses |= self._field(item, node.indirection[0])
        elif isinstance(node, pg.FuncCall) and self._counts_rows(node, scope):
            self.walk(node.agg_filter, scope)
        else:
            if isinstance(node, pg.FuncCall):
                self.called.add((tuple(strings(node.funcname)), len(node.args)))
            for _, value in node.ListFields():
                if isinstance(value, Message):
                    self.walk(value, scope)
                elif not isinstance(value, (str, bytes, int, float, bool)):
                    self.walk_all((each for each in value if isinstance(each, Message)), scope)

    def _reference(self, node: pg.ColumnRef, scope: Scope) -> Uses:
        star = node.fields[-1].HasField("a_star")
        match parts_of(node):
            case [name] if not star:
                found = scope.column(name)
                if found is None and (item := scope.item(name)) is not None:
                    return item.whole
                if found is None and name not in _SYSTEM:
                    self.said.add(name)
                return found or NOTHING
            case [*qualifiers, alias, name] if not star and (item := _item(scope, qualifiers, alias)) is not None:
                found = item.named(name)
                # Without such a column it is a function of the row, written as a column.
                return union(found) if found or name in _SYSTEM or not item.complete else item.whole
            case [name, _] if (found := scope.column(name)) is not None:  # a field of a composite column
                return found
            case [alias] if (item := scope.item(alias)) is not None:
                return item.whole
            case parts:
                self.said.update(parts)
                return NOTHING

    def _field(self, item: Item, part: pg.Node) -> Uses:
        return union(item.named(part.string.sval)) if part.HasField("string") else item.whole

    def _counts_rows(self, node: pg.FuncCall, scope: Scope) -> bool:
        """count(u) of a row counts it whatever its columns are."""
        if last(node.funcname) != "count" or node.agg_distinct or len(node.args) != 1:
            return False
        argument = node.args[0]
        star = argument.HasField("column_ref") and argument.column_ref.fields[-1].HasField("a_star")
        return star or self._row(argument, scope) is not None

    @contextmanager
    def _collecting(self) -> Generator[set[ColumnUse]]:
        """What is used in the block goes to the set that it gives."""
        outside, self.uses = self.uses, set()
        inside = self.uses
        try:
            yield inside
        finally:
            self.uses = outside


def _item(scope: Scope, qualifiers: Sequence[str], alias: str) -> Item | None:
    return scope.item(alias, qualifiers[-1] if qualifiers else None)


def _named(outputs: Sequence[Output], names: Sequence[str]) -> tuple[Output, ...]:
    return Item("", tuple(outputs)).renamed("", names).columns


def _names(items: Sequence[Item]) -> list[str]:
    return [output.name for item in items for output in item.columns]


def _of_name(items: Sequence[Item], name: str) -> Uses:
    return union([output for item in items for output in item.named(name)])
