"""Asks PostgreSQL what a fragment or a type means, over columns that exist only in the question."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import psycopg
from psycopg import errors, sql

from crossfade.catalog.model import Name
from crossfade.changes import Columns, Extension, Facts, Refused, SequenceUse
from crossfade.errors import Position
from crossfade.plan.operators import excluding_operators, index_methods, is_compared, operator_classes
from crossfade.spec.errors import did_you_mean, nearest
from crossfade.spec.fragment import Expression, trusted

# Stable, but another value at another moment.
_CLOCKS = {
    "now",
    "statement_timestamp",
    "transaction_timestamp",
    "clock_timestamp",
    "txid_current",
    "pg_current_xact_id",
}


_USE = """
SELECT s.last_value, t.n_tup_ins / nullif(extract(epoch FROM pg_catalog.now() - d.stats_reset) / 86400, 0)
  FROM pg_catalog.pg_sequences AS s
  JOIN pg_catalog.pg_stat_database AS d ON d.datname = pg_catalog.current_database()
  LEFT JOIN pg_catalog.pg_stat_all_tables AS t ON t.schemaname = %s AND t.relname = %s
 WHERE s.schemaname = %s AND s.sequencename = %s AND s.last_value IS NOT NULL"""


@contextmanager
def searching(connection: psycopg.Connection[Any], search_path: Sequence[str]) -> Generator[None]:
    """Ask under this search path; a question waits for nobody, and nobody for it."""
    path = ", ".join(sql.Identifier(schema).as_string(None) for schema in search_path)
    with connection.transaction(force_rollback=True):
        connection.execute(
            "SELECT pg_catalog.set_config('search_path', %s, true),"
            " pg_catalog.set_config('lock_timeout', '1s', true),"
            " pg_catalog.set_config('statement_timeout', '10s', true)",
            (path,),
        )
        yield


class ServerProbe:
    """Questions of one change to one database, asked on a read-only session."""

    def __init__(self, connection: psycopg.Connection[Any], search_path: Sequence[str], where: Position) -> None:
        self._connection = connection
        self._search_path = search_path
        self._where = where

    def type(self, text: str) -> str:
        """A type as format_type spells it; raises Refused when there is none of that name."""
        if text.strip().lower() in ("serial", "bigserial", "smallserial"):
            self._refuse(f"{text} is no type of its own", fix="use identity: true in create_table, or an integer type")
        probe = Expression(f"NULL::{text}")
        # A domain is described as the type it is over, so its own name is asked for; nothing is computed, since a
        # domain may refuse NULL.
        question = trusted(f"SELECT {probe}, pg_catalog.pg_typeof((SELECT {probe} WHERE false))::oid::int8 WHERE false")
        _, modifier = self._described(question, f"type {text}")
        with searching(self._connection, self._search_path):
            row = self._connection.execute(
                trusted(
                    "SELECT oid, typtype = 'd' FROM pg_catalog.pg_type"
                    f" WHERE oid = pg_catalog.pg_typeof((SELECT {probe} WHERE false))"
                )
            ).fetchone()
        assert row is not None
        oid, is_domain = row
        return self._format(oid, -1 if is_domain else modifier)

    def expression(
        self,
        expression: Expression,
        *,
        table: str,
        row: Mapping[str, str],
        wanted: str | None = None,
        beside: str | None = None,
    ) -> Facts:
        """Resolve an expression over columns of the given types; raises Refused with the server's reason."""
        # LIMIT 0 with NULLs: planned and described, nothing computed. In WHERE, aggregates, window functions and
        # set-returning functions are refused by PostgreSQL itself.
        question = sql.SQL("SELECT {value} FROM {source} WHERE ({value}) IS NULL LIMIT 0")
        return self._facts(expression, question, table, row, wanted, beside)

    def windowed(
        self, expression: Expression, *, table: str, row: Mapping[str, str], wanted: str | None = None
    ) -> Facts:
        """The same of one that may have window functions over rows of its group."""
        # In CASE, set-returning functions are refused; beside columns, an aggregate that is no window function.
        question = sql.SQL("SELECT CASE WHEN true THEN {value} END, {row}.* FROM {source} LIMIT 0")
        return self._facts(expression, question, table, row, wanted)

    def aggregated(
        self, expression: Expression, *, table: str, row: Mapping[str, str], wanted: str | None = None
    ) -> Facts:
        """The same of one that makes a value of many such rows, by aggregates."""
        question = sql.SQL("SELECT CASE WHEN true THEN {value} END FROM {source} GROUP BY () LIMIT 0")
        return self._facts(expression, question, table, row, wanted)

    def _facts(
        self,
        expression: Expression,
        question: sql.SQL,
        table: str,
        row: Mapping[str, str],
        wanted: str | None,
        beside: str | None = None,
    ) -> Facts:
        # Under names of ours, so that a bare name in a sub-select, which would not be carried over, is not found.
        names = {column: f"_cf_{number}" for number, column in enumerate(row)}
        columns = sql.SQL(", ").join(
            sql.SQL("CAST(NULL AS {}) AS {}").format(trusted(type_), sql.Identifier(names[column]))
            for column, type_ in row.items()
        )
        value = expression.render(table, table, names)
        if beside is not None:
            value = Expression(value.as_string(None)).render(beside, beside, names)
        source = sql.SQL(", ").join(
            sql.SQL("(SELECT {}) AS {}").format(columns, sql.Identifier(each)) for each in (table, beside) if each
        )
        asked = question.format(value=value, row=sql.Identifier(table), source=source)
        missing = sorted(expression.columns(table) - row.keys())
        near = did_you_mean(missing[0], [*row]) if missing and row else None
        oid, modifier = self._described(asked, f"`{expression}`", bare=table, near=near)
        given = self._format(oid, modifier)
        return Facts(
            type=given,
            assignable=wanted is None or self._literal(expression, wanted) or self._assignable(oid, wanted),
            repeatable=not self._calls_volatile(expression) and not self._tells_time(expression),
            volatile=self._calls_volatile(expression),
        )

    def query(self, text: str) -> Columns:
        """The columns that a query gives, described and not run; raises Refused with the server's reason."""
        try:
            return self._columns(text)
        except psycopg.Error as error:
            self._refuse(
                error.diag.message_primary or str(error), why="PostgreSQL refuses it", fix=error.diag.message_hint
            )

    def fits(self, text: str) -> Columns | None:
        """The same of a query with stand-ins for tables: these have no key to group by, and no system columns."""
        try:
            return self._columns(text)
        except (errors.GroupingError, errors.UndefinedColumn):
            return None
        except psycopg.Error as error:
            self._refuse(
                error.diag.message_primary or str(error), why="PostgreSQL refuses it", fix=error.diag.message_hint
            )

    def _columns(self, text: str) -> Columns:
        question = sql.SQL("SELECT * FROM (\n{}\n) AS asked LIMIT 0").format(trusted(text))
        with searching(self._connection, self._search_path):
            result = self._connection.execute(question).pgresult
            assert result is not None
            given = [(result.fname(n), result.ftype(n), result.fmod(n)) for n in range(result.nfields)]
        return tuple(((name or b"").decode(), self._format(oid, modifier)) for name, oid, modifier in given)

    def users_of(self, routine: str) -> tuple[str, ...]:
        """What depends on a function, as PostgreSQL describes it."""
        with searching(self._connection, ()):
            rows = self._connection.execute(
                "SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend AS d"
                " WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = pg_catalog.to_regprocedure(%s)::oid"
                " AND d.deptype IN ('n', 'a') ORDER BY 1",
                (routine,),
            ).fetchall()
        return tuple(user for (user,) in rows)

    def collation(self, name: str) -> Name:
        """The collation of that name, maybe with its schema; raises Refused when there is none for this database."""
        with searching(self._connection, self._search_path):
            rows = self._connection.execute(
                """
SELECT n.nspname, c.collname,
       c.collname = %(name)s AND pg_catalog.pg_collation_is_visible(c.oid)
       OR pg_catalog.concat(n.nspname, '.', c.collname) = %(name)s
  FROM pg_catalog.pg_collation AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
 WHERE c.collencoding IN (-1, (SELECT encoding FROM pg_catalog.pg_database WHERE datname = current_database()))""",
                {"name": name},
            ).fetchall()
        for schema, bare, meant in rows:
            if meant:
                return Name(schema, bare)
        guess = nearest(name, [bare for _, bare, _ in rows])
        meant = f"did you mean `{guess}`? " if guess else ""
        return self._refuse(f"there is no collation {name}", fix=f"{meant}\\dOS in psql lists what there is")

    def method(self, name: str) -> frozenset[str]:
        """What indexes of the method can do, as in pg_indexam_has_property; raises Refused when there is none."""
        methods = index_methods(self._connection)
        if name not in methods:
            guess = nearest(name, list(methods))
            meant = f"did you mean `{guess}`? " if guess else ""
            self._refuse(f"there is no index method {name}", fix=f"{meant}known here: {', '.join(sorted(methods))}")
        return methods[name]

    def key(self, type_: str, method: str = "btree", opclass: str | None = None) -> None:
        """Raises Refused when values of the type cannot be keys of such an index."""
        with searching(self._connection, self._search_path):
            known = operator_classes(self._connection, self._base_oid(type_), method)
        if opclass is None and not any(each.default for each in known):
            one = f"name one: opclass: {', '.join(each.name for each in known)}; or " if known else ""
            self._refuse(
                f"{type_} has no default operator class for {method}",
                why=f"an index of the method {method} needs one to tell values apart; a unique rule is of btree",
                fix=f"{one}use another type or method, an expression of a type that has one, or create the extension"
                " that brings one with `create_extension` in a migration that comes before",
            )
        if opclass is not None and not any(each.is_called(opclass) for each in known):
            guess = nearest(opclass, [each.name for each in known])
            meant = f"did you mean `{guess}`? " if guess else ""
            taken = f"for {type_} there are: {', '.join(each.name for each in known)}" if known else "there is none"
            self._refuse(
                f"no operator class {opclass} of {method} takes {type_}",
                fix=f"{meant}{taken}; `create_extension`, in a migration before, brings those of one",
            )

    def tells_rows_apart(self, type_: str) -> None:
        """Raises Refused when our triggers could not tell rows apart by values of the type."""
        with searching(self._connection, self._search_path):
            known = operator_classes(self._connection, self._base_oid(type_), "btree")
        if found := next((each for each in known if each.default and each.schema != "pg_catalog"), None):
            self._refuse(
                f"rows are told apart by values of {type_}, which operators of schema {found.schema} compare",
                why="what keeps two tables in step finds those of PostgreSQL itself alone, so that nobody can slip it"
                " others; it would miss rows",
                fix="give the table a key of another type first, such as a bigint or a uuid",
            )

    def excludes(self, type_: str, operator: str, method: str, opclass: str | None = None) -> None:
        """Raises Refused when an exclusion constraint cannot compare values of the type by the operator."""
        with searching(self._connection, self._search_path):
            known = operator_classes(self._connection, self._base_oid(type_), method)
            chosen = next(each for each in known if (each.is_called(opclass) if opclass else each.default))
            taken = excluding_operators(self._connection, chosen.oid)
        if operator not in taken:
            self._refuse(
                f"{operator} does not compare two values of {type_} in an index of the method {method}",
                why="an exclusion constraint wants an operator of the index's class that is the same both ways round",
                fix=f"use one of: {'  '.join(taken)}" if taken else "name another operator class, or method",
            )

    def extensions(self) -> Mapping[str, Extension]:
        """By name, what the server has at hand, created or not."""
        rows = self._connection.execute(
            "SELECT name, pg_catalog.array_agg(version), pg_catalog.bool_or(trusted)"
            " FROM pg_catalog.pg_available_extension_versions GROUP BY name"
        )
        return {name: Extension(frozenset(versions), trusted) for name, versions, trusted in rows.fetchall()}

    def is_compared(self, *, child: str, parent: str) -> bool:
        """A foreign key from the one type to the other can be made."""
        return is_compared(self._connection, child=self._base_oid(child), parent=self._base_oid(parent))

    def has_large_objects(self) -> bool:
        """There is any in the database."""
        row = self._connection.execute("SELECT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)").fetchone()
        assert row is not None
        return row[0]

    def sequence_use(self, sequence: Name, table: Name) -> SequenceUse | None:
        """How far it has counted; None where it has given nothing yet, or the role may not see it."""
        row = self._connection.execute(_USE, (table.schema, table.name, sequence.schema, sequence.name)).fetchone()
        return None if row is None else SequenceUse(row[0], None if row[1] is None else float(row[1]))

    def _literal(self, expression: Expression, wanted: str) -> bool:
        """A literal without a type of its own takes the wanted one; refused when it is none of its values."""
        if expression.nodes != frozenset({"A_Const"}) or not (
            expression.text.startswith("'") or expression.text.upper() == "NULL"
        ):
            return False
        # A domain's rule is not asked here, hence no CAST to the domain itself, which might refuse NULL.
        self._described(trusted(f"SELECT {expression}::{self._base(wanted)}"), f"`{expression}`")
        return True

    def _base_oid(self, type_: str) -> int:
        return self._described(trusted(f"SELECT NULL::{type_} WHERE false"), type_)[0]

    def _base(self, type_: str) -> str:
        oid, modifier = self._described(trusted(f"SELECT NULL::{type_} WHERE false"), type_)
        return self._format(oid, modifier)

    def _described(
        self, question: sql.SQL | sql.Composed, subject: str, *, bare: str | None = None, near: str | None = None
    ) -> tuple[int, int]:
        try:
            with searching(self._connection, self._search_path):
                cursor = self._connection.execute(question)
                assert cursor.description is not None
                result = cursor.pgresult
                assert result is not None
                return result.ftype(0), result.fmod(0)
        except (errors.ConnectionException, errors.OperationalError):
            raise
        except psycopg.Error as error:
            message = error.diag.message_primary or str(error)
            hint = near if isinstance(error, errors.UndefinedColumn) else error.diag.message_hint
            if bare is not None and isinstance(error, errors.UndefinedColumn) and "SELECT" in subject.upper():
                hint = f"in a sub-select name columns of the row as {bare}.column"
            if isinstance(error, errors.UndefinedObject) and subject.startswith("type "):
                hint = self._type_meant(subject.removeprefix("type "))
            self._refuse(f"{subject}: {message}", why="PostgreSQL refuses it", fix=hint)

    def _type_meant(self, name: str) -> str:
        rows = self._connection.execute(
            "SELECT typname FROM pg_catalog.pg_type WHERE typcategory <> 'A' AND typtype IN ('b', 'd', 'e', 'r')"
            " UNION VALUES ('integer'), ('bigint'), ('smallint'), ('boolean'), ('decimal'), ('real')"
        ).fetchall()
        guess = nearest(name.rpartition(".")[2].strip('"'), [known for (known,) in rows])
        meant = f"did you mean `{guess}`? otherwise " if guess else ""
        return f"{meant}create the type first (`create_enum`, `create_domain`, `create_type`), above this change"

    def _format(self, oid: int, modifier: int) -> str:
        """As the catalog prints it: with an empty search_path, so that the two can be compared."""
        with searching(self._connection, ()):
            row = self._connection.execute(
                "SELECT pg_catalog.format_type(%s::oid, %s::integer)", (oid, modifier)
            ).fetchone()
        assert row is not None
        return row[0]

    def _assignable(self, given: int, wanted: str) -> bool:
        row = self._connection.execute(
            trusted(
                """
SELECT s.oid = t.oid OR s.typname = 'unknown'
       OR EXISTS (SELECT FROM pg_cast AS c WHERE c.castsource = s.oid AND c.casttarget = t.oid
                     AND c.castcontext IN ('a', 'i'))
       OR t.typcategory = 'S'
       OR (t.typtype = 'd' AND t.typbasetype = s.oid)
  FROM pg_type AS s, pg_type AS t WHERE s.oid = %s::oid AND t.oid = %s::oid"""
            ),
            (given, self._base_oid(wanted)),
        ).fetchone()
        return bool(row and row[0])

    def _calls_volatile(self, expression: Expression) -> bool:
        names = [name[-1] for name in expression.functions]
        row = self._connection.execute(
            "SELECT pg_catalog.count(*) FROM pg_proc WHERE proname = ANY(%s) AND provolatile = 'v'",
            (names,),
        ).fetchone()
        return bool(row and row[0])

    def _tells_time(self, expression: Expression) -> bool:
        return bool(_CLOCKS & {name[-1] for name in expression.functions}) or "SQLValueFunction" in expression.nodes

    def _refuse(self, what: str, *, why: str | None = None, fix: str | None = None) -> NoReturn:
        raise Refused(what, where=self._where, why=why, fix=fix)
