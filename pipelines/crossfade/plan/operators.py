"""Which values an index can hold and a foreign key can compare: asked of the catalog, nothing is built for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

# The kinds of type that have one operator class for all types of the kind.
_OF_A_KIND = """(CASE WHEN t.typcategory = 'A' THEN 'anyarray' WHEN t.typtype = 'e' THEN 'anyenum'
            WHEN t.typtype = 'r' THEN 'anyrange' WHEN t.typtype = 'm' THEN 'anymultirange'
            WHEN t.typtype = 'c' THEN 'record' END)::regtype::oid"""

# Those of the type itself, or of one that it is stored alike (varchar and text).
_TAKES = f"""
SELECT c.oid::int8, n.nspname, c.opcname, c.opcdefault, pg_catalog.pg_opclass_is_visible(c.oid)
  FROM pg_type AS t, pg_opclass AS c
  JOIN pg_am AS m ON m.oid = c.opcmethod
  JOIN pg_namespace AS n ON n.oid = c.opcnamespace
 WHERE t.oid = %(type)s::oid AND m.amname = %(method)s::name
   AND (c.opcintype = t.oid OR c.opcintype = {_OF_A_KIND}
        OR EXISTS (SELECT FROM pg_cast AS k WHERE k.castsource = t.oid AND k.casttarget = c.opcintype
                      AND k.castmethod = 'b' AND k.castcontext = 'i'))
 ORDER BY c.opcintype = t.oid DESC, c.opcdefault DESC, c.opcname"""

# As PostgreSQL looks for the operators of a foreign key: of both types in the parent's family, else after an implicit
# cast to the type of its class.
_COMPARES = """
SELECT EXISTS (SELECT FROM pg_amop AS o WHERE o.amopfamily = c.opcfamily AND o.amopstrategy = 3
                  AND o.amoplefttype = c.opcintype AND o.amoprighttype = %(child)s::oid)
       OR %(child)s::oid IN (%(parent)s::oid, c.opcintype)
       OR EXISTS (SELECT FROM pg_cast AS k WHERE k.castsource = %(child)s::oid AND k.casttarget = c.opcintype
                     AND k.castcontext = 'i')
  FROM pg_opclass AS c WHERE c.oid = %(class)s::oid"""


@dataclass(frozen=True)
class OperatorClass:
    """default: taken where none is named. visible: its bare name is enough under the search_path of the session."""

    oid: int
    schema: str
    name: str
    default: bool
    visible: bool

    def is_called(self, name: str) -> bool:
        schema, _, bare = name.lower().rpartition(".")
        return bare == self.name and (schema == self.schema if schema else self.visible)


def operator_classes(connection: psycopg.Connection[Any], type_: int, method: str) -> tuple[OperatorClass, ...]:
    """Those that take values of the type in an index of the method, its own first."""
    rows = connection.execute(_TAKES.encode(), {"type": type_, "method": method}).fetchall()
    return tuple(OperatorClass(*row) for row in rows)


def is_compared(connection: psycopg.Connection[Any], *, child: int, parent: int) -> bool:
    """A foreign key from the one type to the other can be made."""
    keyed = next((known for known in operator_classes(connection, parent, "btree") if known.default), None)
    if keyed is None:
        return False
    asked = {"child": child, "parent": parent, "class": keyed.oid}
    row = connection.execute(_COMPARES, asked).fetchone()
    return bool(row and row[0])


def excluding_operators(connection: psycopg.Connection[Any], opclass: int) -> list[str]:
    """Of an operator class, those that give the same with both values exchanged."""
    rows = connection.execute(
        """
SELECT DISTINCT o.oprname FROM pg_opclass AS c
  JOIN pg_amop AS a ON a.amopfamily = c.opcfamily AND a.amoplefttype = a.amoprighttype AND a.amoppurpose = 's'
  JOIN pg_operator AS o ON o.oid = a.amopopr
 WHERE c.oid = %s::oid AND o.oprcom = o.oid AND a.amoplefttype = c.opcintype
 ORDER BY o.oprname""",
        (opclass,),
    ).fetchall()
    return [name for (name,) in rows]


def index_methods(connection: psycopg.Connection[Any]) -> dict[str, frozenset[str]]:
    """What there is, each with what it can do: can_unique, can_include, can_order, can_multi_col."""
    rows = connection.execute(
        """
SELECT m.amname, pg_catalog.array_agg(p.name) FILTER (WHERE pg_catalog.pg_indexam_has_property(m.oid, p.name))
  FROM pg_am AS m, (VALUES ('can_unique'::text), ('can_include'), ('can_order'), ('can_multi_col')) AS p (name)
 WHERE m.amtype = 'i' GROUP BY m.amname"""
    ).fetchall()
    return {name: frozenset(abilities or ()) for name, abilities in rows}
