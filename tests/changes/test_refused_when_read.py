"""What would be accepted and do nothing is refused when the file is read, at its place."""

from __future__ import annotations

import pytest
from tests.changes.life import spec
from tests.scene import Scene

from crossfade.spec import SpecError

CASES = [
    ("change_column: {table: t, column: c, to: {unique: false}}", "false", "a rule is not taken away like this"),
    ("create_index: {table: t, name: i, columns: [c], nulls_distinct: false}", "create_index", "unique indexes only"),
    (
        "add_constraint: {table: t, name: k, check: c > 0, nulls_distinct: false}",
        "add_constraint",
        "says something of `unique` only",
    ),
    (
        "create_index: {table: t, name: i, columns: [{column: c, expression: lower(c)}]}",
        "{column: c",
        "entry 1 of `columns`: give either `column` or `expression`",
    ),
    (
        "create_table: {table: t, columns: [{name: c, type: int}], unique: [[c, _cf_c]]}",
        "_cf_c",
        "entry 2 of entry 1 of `unique`: names that start with _cf_ are crossfade's own",
    ),
    ("add_column: {table: t, column: c, type: 'text; drop table t'}", "'text;", "`type`: not a type"),
    ("change_column: {table: t, column: c, to: {type: int NOT NULL}}", "int NOT", "`type`: not a type"),
    ("create_table: {table: t, columns: [{name: c, type: a = 1}]}", "a = 1", "`type`: not a type"),
]


@pytest.mark.parametrize(("change", "at", "what"), CASES, ids=[case[1] for case in CASES])
def test_it_is_refused_where_it_stands(scene: Scene, change: str, at: str, what: str) -> None:
    spec(scene, change)

    with pytest.raises(SpecError, match=what) as refusal:
        scene.project()

    (problem,) = refusal.value.problems
    body = change.index("{") if at == change.partition(":")[0] else change.index(at)
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (6, len("  - ") + body + 1)
