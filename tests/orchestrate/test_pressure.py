"""Why a walk waits is told in Dagster while it waits."""

from __future__ import annotations

import threading

from tests.execute.slow import slow_items
from tests.orchestrate.orchestra import Orchestra

SPEC = """
changes: [{add_column: {table: items, column: lowered, type: text, up: slowly(name)}}]
backfill: {workers: 1, target: 50ms, pause_when: {transaction_age: 200ms}}
"""
REASON = "holds back vacuum (limit 0.2 s)"


def test_pressure_is_told_in_the_log_and_in_the_metadata_of_the_run(orchestra: Orchestra) -> None:
    orchestra.scene.sql("DROP TABLE items;" + slow_items(1500))
    orchestra.scene.spec(SPEC)
    orchestra.materialize("expand")
    with orchestra.scene.connect() as reporter:
        reporter.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class LIMIT 1")
        threading.Timer(8.0, lambda: reporter.execute("COMMIT")).start()

        played = orchestra.materialize("backfill")

    assert played.is_green
    logged = [entry.user_message for entry in orchestra.instance.all_logs(played.result.run_id)]
    assert any("; waits: a transaction is open for" in line and REASON in line for line in logged)
    told = played.observations("backfill")
    assert any(REASON in str(observed.get("waits for")) for observed in told)
    assert "rows a second" not in told[0]  # it would be 0: there is nothing yet to measure it against
