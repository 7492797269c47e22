"""One migration over two databases: a phase ends in both before the next starts in either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Databases
from tests.scene import Scene

from crossfade.execute import LockBudgetExceeded, StepRefused

BOTH = """
changes:
  - add_column: {table: flights, column: plane, type: text, up: tailnum}
  - add_column: {table: planes, column: plane, type: text, up: tailnum, nullable: false, database: fleet}
locks: {timeout: 200ms, budget: 1s}
"""


@pytest.fixture
def services(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    urls = databases("flights", "fleet")
    scene = Scene(tmp_path, dict(zip(("flights", "fleet"), urls, strict=True)), monkeypatch.setenv)
    scene.sql("CREATE TABLE flights (id int PRIMARY KEY, tailnum text)")
    scene.sql("INSERT INTO flights SELECT i, 'N' || i FROM generate_series(1, 100) AS i")
    scene.sql("CREATE TABLE planes (tailnum text PRIMARY KEY)", "fleet")
    scene.sql("INSERT INTO planes SELECT 'N' || i FROM generate_series(1, 50) AS i", "fleet")
    scene.spec(BOTH)
    yield scene
    scene.close()


def test_both_databases_are_changed_and_both_ledgers_say_so(services: Scene) -> None:
    assert services.up().ended == "complete"

    assert services.one("SELECT count(*) FROM flights WHERE plane = tailnum") == 100
    assert services.one("SELECT count(*) FROM planes WHERE plane = tailnum", "fleet") == 50
    for database in ("flights", "fleet"):
        record = services.ledger(database).migration("m")
        assert record is not None
        assert record.state == "complete"


def test_an_expand_that_fails_in_one_database_is_undone_in_the_other(services: Scene) -> None:
    before = services.schema("flights"), services.schema("fleet")
    with services.connect("fleet") as blocker:
        blocker.execute("BEGIN")
        blocker.execute("SELECT FROM planes")

        with pytest.raises(LockBudgetExceeded):
            services.up()

    assert (services.schema("flights"), services.schema("fleet")) == before
    kinds = [event.kind for event in services.ledger("flights").events("m")]
    assert kinds.index("expand is taken back") < kinds.index("step undone")
    assert services.up().ended == "complete"


def test_no_database_starts_a_phase_before_the_other_has_ended_the_one_before(services: Scene) -> None:
    services.sql("ALTER TABLE planes ADD COLUMN age int", "fleet")
    services.spec(
        """
changes:
  - add_column: {table: flights, column: plane, type: text, up: tailnum}
  - change_column: {table: planes, column: age, to: {nullable: false}, database: fleet}
"""
    )
    with pytest.raises(StepRefused, match=r"50 rows without a value in public\.planes\.age"):
        services.up()

    legs = services.ledger("flights").legs("m")
    assert legs["backfill"].passed_at is not None
    assert "cutover" not in legs
    assert "plane" in services.columns("flights")
