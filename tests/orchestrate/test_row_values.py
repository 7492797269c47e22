"""A value planted in rows shows nowhere in Dagster's event log."""

from __future__ import annotations

import pytest
from tests.orchestrate.orchestra import Orchestra

MARKER = "S3cretRow"


@pytest.mark.parametrize(
    "changes",
    [
        '[{sql: {up: "UPDATE items SET name = (name::int)::text"}}]',
        '[{add_column: {table: items, column: number, type: int, up: "name::int"}}]',
        "[{create_index: {table: items, name: one_name, columns: [name], unique: true}}]",
    ],
)
def test_a_value_of_a_row_is_in_no_log_metadata_or_stack(orchestra: Orchestra, changes: str) -> None:
    orchestra.scene.sql(f"UPDATE items SET name = '{MARKER}'")
    orchestra.scene.spec(f"changes: {changes}\n")

    played = orchestra.materialize()

    assert played.failed
    assert MARKER not in "\n".join(map(str, orchestra.instance.all_logs(played.result.run_id)))


def test_nor_in_that_of_a_run_that_succeeds(orchestra: Orchestra) -> None:
    orchestra.scene.sql(f"UPDATE items SET name = '{MARKER}' || id")
    orchestra.scene.spec("changes: [{add_column: {table: items, column: called, type: text, up: name}}]\n")

    played = orchestra.materialize()

    assert not played.failed
    assert MARKER not in "\n".join(map(str, orchestra.instance.all_logs(played.result.run_id)))
