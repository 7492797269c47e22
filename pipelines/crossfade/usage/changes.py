"""Walks statements that change rows: INSERT, UPDATE, DELETE, MERGE, COPY."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import Name
from crossfade.usage.queries import Queries
from crossfade.usage.relations import Relations
from crossfade.usage.uses import NOTHING, ColumnUse, Item, Output, Scope, Uses, union, written


class Statements:
    """Walks any statement that reads or changes rows, and collects what it uses."""

    def __init__(self, relations: Relations) -> None:
        self.queries = Queries(relations, self.walk)
        self._relations = relations

    def walk(self, node: pg.Node, scope: Scope) -> tuple[Output, ...]:
        """What it gives to whoever takes it."""
        match node.WhichOneof("node"):
            case "select_stmt":
                return self.queries.select(node.select_stmt, scope)
            case "insert_stmt":
                return self._insert(node.insert_stmt, scope)
            case "update_stmt":
                return self._update(node.update_stmt, scope)
            case "delete_stmt":
                return self._delete(node.delete_stmt, scope)
            case "merge_stmt":
                return self._merge(node.merge_stmt, scope)
            case "copy_stmt":
                return self._copy(node.copy_stmt, scope)
            case _:
                return ()

    def _insert(self, node: pg.InsertStmt, outer: Scope) -> tuple[Output, ...]:
        scope = self.queries.with_queries(node.with_clause, outer)
        target = self.queries.relation(node.relation, scope)
        select = node.select_stmt.select_stmt
        given: tuple[Output, ...] = ()
        if node.HasField("select_stmt"):
            given = self.queries.select(select, scope)
            self.queries.take(given)
        self._fill(target, node.cols, given)
        conflict = node.on_conflict_clause
        inside = scope.within([target, _row("excluded", target)])
        if conflict.HasField("infer"):
            self._infer(conflict.infer, node.relation, scope.within([target]))
        self._set(conflict.target_list, target, inside)
        self.queries.walk(conflict.where_clause, inside)
        return self._returned(node.returning_clause, target, [], scope)

    def _fill(self, target: Item, columns: Sequence[pg.Node], given: Sequence[Output]) -> None:
        if columns:
            for column in columns:
                self._write(target, column.res_target.name)
        else:  # by their places
            self.queries.uses |= written(union(target.columns[: len(given)]))

    def _infer(self, node: pg.InferClause, relation: pg.RangeVar, scope: Scope) -> None:
        for element in node.index_elems:
            if element.index_elem.name:
                self.queries.uses |= scope.column(element.index_elem.name) or NOTHING
            self.queries.walk(element.index_elem.expr, scope)
        self.queries.walk(node.where_clause, scope)
        if node.conname and (name := self._relations.find(relation.relname, relation.schemaname or None)) is not None:
            self.queries.uses |= self._of_constraint(name, node.conname)

    def _of_constraint(self, relation: Name, constraint: str) -> Uses:
        table = self._relations.catalog.tables.get(relation)
        found = [each for each in table.constraints if each.name == constraint] if table is not None else []
        return frozenset(ColumnUse(relation, column, "reads") for each in found for column in each.columns)

    def _update(self, node: pg.UpdateStmt, outer: Scope) -> tuple[Output, ...]:
        scope = self.queries.with_queries(node.with_clause, outer)
        target = self.queries.relation(node.relation, scope)
        others = self.queries.from_clause(node.from_clause, scope)
        inside = scope.within([target, *others])
        self._set(node.target_list, target, inside)
        self.queries.walk(node.where_clause, inside)
        return self._returned(node.returning_clause, target, others, scope)

    def _set(self, nodes: Iterable[pg.Node], target: Item, scope: Scope) -> None:
        for node in nodes:
            self._write(target, node.res_target.name)
            self.queries.walk(node.res_target.val, scope)
            self.queries.walk_all(node.res_target.indirection, scope)

    def _write(self, target: Item, column: str) -> None:
        found = target.named(column)
        self.queries.uses |= written(union(found))
        if not found:
            self.queries.said.add(column)

    def _delete(self, node: pg.DeleteStmt, outer: Scope) -> tuple[Output, ...]:
        scope = self.queries.with_queries(node.with_clause, outer)
        target = self.queries.relation(node.relation, scope)
        others = self.queries.from_clause(node.using_clause, scope)
        self.queries.walk(node.where_clause, scope.within([target, *others]))
        return self._returned(node.returning_clause, target, others, scope)

    def _merge(self, node: pg.MergeStmt, outer: Scope) -> tuple[Output, ...]:
        scope = self.queries.with_queries(node.with_clause, outer)
        target = self.queries.relation(node.relation, scope)
        source = self.queries.from_clause([node.source_relation], scope)
        inside = scope.within([target, *source])
        self.queries.walk(node.join_condition, inside)
        for each in node.merge_when_clauses:
            clause = each.merge_when_clause
            self.queries.walk(clause.condition, inside)
            if clause.command_type == pg.CMD_INSERT:
                values = tuple(Output("") for _ in clause.values)
                self._fill(target, clause.target_list, values)
                self.queries.walk_all(clause.values, inside)
            else:
                self._set(clause.target_list, target, inside)
        return self._returned(node.returning_clause, target, source, scope)

    def _returned(
        self, clause: pg.ReturningClause, target: Item, others: Sequence[Item], scope: Scope
    ) -> tuple[Output, ...]:
        named = {option.returning_option.option: option.returning_option.value for option in clause.options}
        rows = [
            _row(named.get(pg.RETURNING_OPTION_OLD, "old"), target),
            _row(named.get(pg.RETURNING_OPTION_NEW, "new"), target),
        ]
        return tuple(self.queries.targets(clause.exprs, scope.within([target, *others, *rows])))

    def _copy(self, node: pg.CopyStmt, scope: Scope) -> tuple[Output, ...]:
        if node.HasField("query"):
            return self.walk(node.query, scope)
        item = self.queries.relation(node.relation, scope)
        names = [each.string.sval for each in node.attlist]
        columns = [output for output in item.columns if not names or output.name in names]
        self.queries.uses |= written(union(columns)) if node.is_from else union(columns)
        self.queries.walk(node.where_clause, scope.within([item]))
        return ()


def _row(alias: str, target: Item) -> Item:
    """The target's row under a name that its columns are never said without."""
    return Item(alias, target.columns, complete=target.complete, qualified=True)
