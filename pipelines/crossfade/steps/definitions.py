"""Definitions of indexes and constraints, as the catalog prints them, rewritten by their syntax tree.

Names of columns are replaced where they are column names, never in text.
"""

from __future__ import annotations

from collections.abc import Mapping

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pg

from crossfade.catalog.model import Constraint, ForeignKey, Index, Table
from crossfade.composing import sql
from crossfade.steps.compose import table as table_sql
from crossfade.steps.step import Relation


def carried_index(
    index: Index, *, name: str, columns: Mapping[str, str], table: Relation | None = None, concurrently: bool = True
) -> str:
    """CREATE INDEX for the same index over other columns, under another name, maybe of another table.

    columns: old column -> new column (physical names).
    """
    tree = postgast.parse(index.definition)
    statement = tree.stmts[0].stmt.index_stmt
    if table is not None:
        statement.relation.schemaname, statement.relation.relname = table.schema_name, table.name
    statement.idxname = name
    statement.concurrent = concurrently
    for element in (*statement.index_params, *statement.index_including_params):
        if element.index_elem.name in columns:
            element.index_elem.name = columns[element.index_elem.name]
    _rename_references(statement, columns)
    return postgast.deparse(tree)


def carried_constraint(
    table: Relation,
    constraint: Constraint | ForeignKey,
    *,
    name: str,
    columns: Mapping[str, str],
    referenced: Mapping[str, str] | None = None,
    parent: Relation | None = None,
) -> str:
    """ALTER TABLE ... ADD CONSTRAINT ... NOT VALID for the same check or foreign key over other columns.

    referenced: the same for the columns of a foreign key's parent. parent: another one.
    """
    tree, definition = _added(table, name, constraint)
    for attribute in (*definition.fk_attrs, *definition.fk_del_set_cols):
        attribute.string.sval = columns.get(attribute.string.sval, attribute.string.sval)
    for attribute in definition.pk_attrs:
        attribute.string.sval = (referenced or {}).get(attribute.string.sval, attribute.string.sval)
    _rename_references(definition.raw_expr, columns)
    _point_at(definition, parent)
    return postgast.deparse(tree)


def foreign_key_to_one_column(
    table: Relation,
    key: Constraint,
    *,
    name: str,
    column: str,
    referenced: str,
    parent: Relation | None = None,
) -> str:
    """The same for a foreign key, from one column to one: what says how several are compared, or set, falls away.

    parent: another one.
    """
    tree, definition = _added(table, name, key)
    for held, only in ((definition.fk_attrs, column), (definition.pk_attrs, referenced)):
        del held[1:]
        held[0].string.sval = only
    del definition.fk_del_set_cols[:]
    definition.fk_matchtype = "s"
    _point_at(definition, parent)
    return postgast.deparse(tree)


def _added(table: Relation, name: str, constraint: Constraint | ForeignKey) -> tuple[pg.ParseResult, pg.Constraint]:
    """It is added NOT VALID."""
    begin = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(table_sql(table), sql.Identifier(name))
    tree = postgast.parse(begin.as_string(None) + constraint.definition)
    definition = _constraint(tree)
    definition.skip_validation = True
    definition.initially_valid = False
    return tree, definition


def _point_at(foreign_key: pg.Constraint, parent: Relation | None) -> None:
    if parent is not None:
        foreign_key.pktable.schemaname, foreign_key.pktable.relname = parent.schema_name, parent.name


def moment_of(table: Table, constraint: str | None) -> str:
    """When the constraint is checked, as behind USING INDEX."""
    return when_checked(next(found.definition for found in table.constraints if found.name == constraint))


def when_checked(definition: str) -> str:
    """The same of a definition; nothing where it is at once, and always."""
    checked = _constraint(postgast.parse(f"ALTER TABLE t ADD {definition}"))
    return f"{' DEFERRABLE' if checked.deferrable else ''}{' INITIALLY DEFERRED' if checked.initdeferred else ''}"


def check_text(constraint: Constraint) -> str:
    """The condition of a check, as one expression."""
    return _text_of(_constraint(postgast.parse(f"ALTER TABLE t ADD {constraint.definition}")).raw_expr)


def index_texts(index: Index) -> tuple[str, ...]:
    """The expressions of an index: those among its keys, and its predicate."""
    statement = postgast.parse(index.definition).stmts[0].stmt.index_stmt
    found = [part.index_elem.expr for part in statement.index_params if part.index_elem.HasField("expr")]
    predicate = predicate_text(index)
    return (*(_text_of(node) for node in found), *(() if predicate is None else (predicate,)))


def key_texts(index: Index) -> tuple[str, ...]:
    """What its keys are, columns and expressions, in their order."""
    parts = [part.index_elem for part in postgast.parse(index.definition).stmts[0].stmt.index_stmt.index_params]
    return tuple(
        _text_of(part.expr) if part.HasField("expr") else sql.Identifier(part.name).as_string(None) for part in parts
    )


def nulls_differ(index: Index) -> bool:
    """Of a unique one: rows that have NULL in a key are not the same."""
    return not postgast.parse(index.definition).stmts[0].stmt.index_stmt.nulls_not_distinct


def predicate_text(index: Index) -> str | None:
    """Of a partial one: which rows are in it."""
    statement = postgast.parse(index.definition).stmts[0].stmt.index_stmt
    return _text_of(statement.where_clause) if statement.HasField("where_clause") else None


def _constraint(tree: pg.ParseResult) -> pg.Constraint:
    return tree.stmts[0].stmt.alter_table_stmt.cmds[0].alter_table_cmd.__getattribute__("def").constraint


def _text_of(expression: pg.Node) -> str:
    tree = postgast.parse("SELECT 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(expression)
    return postgast.deparse(tree).removeprefix("SELECT ")


def _rename_references(node: Message, columns: Mapping[str, str]) -> None:
    for _, found in postgast.walk(node):
        if isinstance(found, pg.ColumnRef):
            last = found.fields[-1]
            if last.HasField("string"):
                last.string.sval = columns.get(last.string.sval, last.string.sval)
