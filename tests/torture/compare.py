"""Whether the rows are what the model says, and the catalog what an undisturbed run leaves."""

from __future__ import annotations

import difflib
from collections.abc import Container, Mapping
from typing import Any

import psycopg
from psycopg import sql
from tests.torture.kinds import Value
from tests.torture.model import Model
from tests.torture.report import Result
from tests.torture.shapes import PARTED, SEEDED

SHOWN = 5


def compare_rows(
    admin: psycopg.Connection[Any],
    model: Model,
    wanted: Mapping[int, Mapping[str, Value]],
    result: Result,
    tables: sql.Composable,
) -> None:
    """Hold the rows of these tables to `wanted`; what differs goes into the result."""
    t = model.shape.names
    columns = sorted({column for values in wanted.values() for column in values})
    listed = sql.SQL(", ").join(sql.Identifier(t[column]) for column in ("ident", *columns))
    rows = admin.execute(sql.SQL("SELECT {} FROM {}").format(listed, tables)).fetchall()
    found = {row[0]: dict(zip(columns, row[1:], strict=True)) for row in rows}
    missing = sorted(wanted.keys() - found.keys())
    strange = sorted(found.keys() - wanted.keys())
    differing = [ident for ident in sorted(wanted.keys() & found.keys()) if found[ident] != dict(wanted[ident])]
    result.found.rows += len(rows)
    result.found.lost += len(missing)
    result.found.diverged += len(strange) + len(differing) + (len(rows) - len(found))
    if missing:
        result.problems.append(f"{len(missing)} rows are lost: {missing[:SHOWN]}")
    if strange:
        result.problems.append(f"{len(strange)} rows should not be there: {strange[:SHOWN]}")
    for ident in differing[:SHOWN]:
        pairs = {c: (found[ident][c], wanted[ident][c]) for c in columns if found[ident][c] != wanted[ident][c]}
        told = "; ".join(f"{column} is {is_!r}, should be {should!r}" for column, (is_, should) in pairs.items())
        result.problems.append(f"row {ident} of {len(differing)} that differ: {told}")


def tables_of(model: Model, *, complete: bool) -> sql.Composable:
    """Where the rows are in the end: of the new version, or of the old one."""
    people = sql.Identifier(model.shape.names["people"])
    if complete and model.kind.into:
        return sql.Identifier(PARTED)
    if complete and model.kind.apart:
        key = sql.SQL(", ".join(model.shape.keys))  # pyright: ignore[reportArgumentType]
        return sql.SQL("{} FULL JOIN {} USING ({})").format(people, sql.Identifier(PARTED), key)
    return people


def compare_beside(
    admin: psycopg.Connection[Any], model: Model, wanted: Container[int], result: Result, table: sql.Composable
) -> None:
    """What the rows have beside the values: timestamps of triggers, audit rows, children."""
    t = model.shape.names
    touched = dict(
        admin.execute(
            sql.SQL("SELECT {}, {} > '2020-01-02' FROM {}").format(
                sql.Identifier(t["ident"]), sql.Identifier(t["touched"]), table
            )
        ).fetchall()
    )
    wrong = [
        ident
        for ident, row in model.rows.items()
        if ident in wanted and touched.get(ident) is not (row.updated if model.shape.touches else False)
    ]
    _expect(not wrong, f"{len(wrong)} rows were touched, or not, against their triggers: {wrong[:SHOWN]}", result)
    if model.shape.audited:
        audited = _one(admin, "SELECT count(*) FROM audit")
        _expect(audited == model.count, f"{audited} audit rows for {model.count} rows written", result)
    if model.shape.referenced:
        visits = sum(i % SEEDED + 1 in model.rows for i in range(1, 501))
        children = _one(admin, "SELECT count(*) FROM visits")
        _expect(children == visits, f"{children} visits, should be {visits}", result)


def compare_opaque(admin: psycopg.Connection[Any], model: Model, result: Result) -> None:
    """Values that nobody can foretell: there, and no two the same."""
    for column in model.kind.opaque:
        row = admin.execute(
            sql.SQL("SELECT count(*), count({c}), count(DISTINCT {c}) FROM {t}").format(
                c=sql.Identifier(model.shape.names[column]), t=sql.Identifier(model.shape.names["people"])
            )
        ).fetchone()
        _expect(row is not None and len({*row}) == 1, f"rows, values and different values of {column}: {row}", result)


def compare_schema(schema: str, wanted: str, result: Result) -> None:
    """Hold a dump to the one of an undisturbed run."""
    lines = [*difflib.unified_diff(wanted.splitlines(), schema.splitlines(), "undisturbed", "here", lineterm="", n=0)]
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    result.found.catalog += len(changed)
    if changed:
        result.problems.append("the schema differs from an undisturbed run's:\n    " + "\n    ".join(changed[:20]))


def _expect(holds: bool, otherwise: str, result: Result) -> None:
    if not holds:
        result.found.diverged += 1
        result.problems.append(otherwise)


def _one(admin: psycopg.Connection[Any], query: str) -> Any:
    row = admin.execute(sql.SQL(query)).fetchone()  # pyright: ignore[reportArgumentType]
    return row[0] if row else None
