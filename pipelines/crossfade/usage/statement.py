"""Reads a statement: what it uses, through views and the functions it calls, and which words nobody can resolve."""

from __future__ import annotations

from dataclasses import dataclass

import postgast
from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import Catalog, Function, Name
from crossfade.usage.changes import Statements
from crossfade.usage.masked import NO_ROWS, WRAPPING
from crossfade.usage.relations import Relations
from crossfade.usage.routines import Body, called
from crossfade.usage.uses import ColumnUse, Item, Scope
from crossfade.usage.words import words_of

_WALKED = ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "copy_stmt")


@dataclass(frozen=True)
class Found:
    """What a statement uses.

    uses: for certain, as far as the names in it mean what they mean to a session with the database's search_path.
    maybe: with another search_path. said: words of what could not be resolved.
    """

    uses: frozenset[ColumnUse] = frozenset()
    maybe: frozenset[ColumnUse] = frozenset()
    said: frozenset[str] = frozenset()

    def touches(self, table: Name, column: str) -> bool:
        return any(use.place == (table, column) for use in self.uses)

    def suspects(self, table: Name, column: str) -> bool:
        """It may use the column; nothing says that it does not."""
        return any(use.place == (table, column) for use in self.maybe) or column in self.said


class Reader:
    """Reads statements of one database.

    path: the schemas in which a session of an application finds bare names, in order.
    """

    def __init__(self, catalog: Catalog, path: tuple[str, ...]) -> None:
        self._catalog = catalog
        self._path = path

    def read(self, text: str) -> Found:
        """One statement, or several in one text."""
        try:
            nodes = [each.stmt for each in postgast.parse(text).stmts]
        except postgast.PgQueryError:
            return Found(said=words_of(text))
        uses, said, doubtful = self._walk(nodes, text, self._path)
        # A name that stands in several schemas: what each of them would have made of it.
        maybe: set[ColumnUse] = set()
        schemas = {name.schema for name in (*self._catalog.tables, *self._catalog.views) if name.name in doubtful}
        for schema in schemas - {self._path[0]}:
            maybe |= self._walk(nodes, text, (schema, *self._path))[0]
        return Found(frozenset(uses), frozenset(maybe - uses), said)

    def _walk(
        self, nodes: list[pg.Node], text: str, path: tuple[str, ...]
    ) -> tuple[set[ColumnUse], frozenset[str], set[str]]:
        walk = _Walk(Relations(self._catalog, path))
        for node in nodes:
            walk.statement(node, text)
        return walk.uses, frozenset(walk.said), walk.relations.doubtful


class _Walk:
    """One text, and all that it calls."""

    def __init__(self, relations: Relations) -> None:
        self.relations = relations
        self.uses: set[ColumnUse] = set()
        self.said: set[str] = set()
        self._entered: set[Function] = set()

    def statement(self, node: pg.Node, text: str) -> None:
        kind = node.WhichOneof("node") or ""
        if kind in WRAPPING:
            self.statement(getattr(node, kind).query, text)
        elif kind in _WALKED:
            self._run(node, Scope())
        elif kind == "call_stmt":
            select = pg.Node()
            select.select_stmt.target_list.add().res_target.val.func_call.CopyFrom(node.call_stmt.funccall)
            self._run(select, Scope())
        elif kind == "refresh_mat_view_stmt":
            relation = node.refresh_mat_view_stmt.relation
            select = pg.Node()
            select.select_stmt.from_clause.add().range_var.CopyFrom(relation)
            star = select.select_stmt.target_list.add().res_target.val.column_ref
            star.fields.add().a_star.SetInParent()
            self._run(select, Scope())
        elif kind in NO_ROWS:
            pass
        else:
            self.said |= words_of(text)

    def _run(self, node: pg.Node, scope: Scope) -> None:
        statements = Statements(self.relations)
        statements.queries.take(statements.walk(node, scope))
        self.uses |= statements.queries.uses
        self.said |= statements.queries.said
        for parts, arguments in statements.queries.called:
            for function, body in called(self.relations, parts, arguments):
                if function not in self._entered:
                    self._entered.add(function)
                    self._enter(function, body)

    def _enter(self, function: Function, body: Body) -> None:
        self.said |= body.said
        types = dict(body.rows)
        variables = [self._variable(name, types.get(name)) for name in (*body.variables, function.name.name)]
        for node in body.statements:
            self._run(node, Scope(tuple(variables)))

    def _variable(self, name: str, type_: tuple[str, ...] | None) -> Item:
        """A row of a relation where it is one: its fields are columns."""
        relation = self.relations.find(type_[-1], type_[-2] if len(type_) > 1 else None) if type_ else None
        if relation is None:
            return Item(name, (), complete=False, qualified=True)
        return Item(name, Statements(self.relations).queries.columns_of(relation), qualified=True)
