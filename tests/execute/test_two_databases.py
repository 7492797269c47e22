"""One migration over two databases: a phase ends in both before the next starts in either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo, sql
from tests.conftest import Databases
from tests.scene import Scene

from crossfade.execute import DatabaseUnreachable, LockBudgetExceeded, Notice, Runner, StepFinished, StepRefused

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

        with pytest.raises(LockBudgetExceeded, match="expand is taken back in flights and fleet"):
            services.up()

    assert (services.schema("flights"), services.schema("fleet")) == before
    kinds = [event.kind for event in services.ledger("flights").events("m")]
    assert kinds.index("expand is taken back") < kinds.index("step undone")
    assert services.up().ended == "complete"


def test_an_expand_is_undone_where_the_other_database_went_away_for_good(services: Scene) -> None:
    before = services.schema("flights")

    with pytest.raises(DatabaseUnreachable) as failure:
        up_while_it_goes_away(services, "fleet")

    assert services.schema("flights") == before
    assert [problem.what for problem in failure.value.problems[1:]] == [
        "expand is taken back in flights",
        "expand is not taken back in fleet: database `fleet` cannot be reached: " + (failure.value.why or ""),
    ]
    come_back(services, "fleet")
    assert services.up().ended == "complete"


def test_an_expand_left_in_a_database_that_went_away_is_taken_back_by_rollback(services: Scene) -> None:
    before = services.schema("flights"), services.schema("fleet")
    with pytest.raises(DatabaseUnreachable, match="`crossfade rollback m` takes it back"):
        up_while_it_goes_away(services, "flights")
    assert services.schema("fleet") == before[1]
    come_back(services, "flights")
    assert services.schema("flights") != before[0]

    services.rollback()

    assert (services.schema("flights"), services.schema("fleet")) == before


def test_what_cannot_be_taken_back_stays_and_is_named(services: Scene) -> None:
    services.spec(
        """
changes:
  - sql: {up: INSERT INTO flights (id) VALUES (101)}
  - add_column: {table: planes, column: plane, type: text, up: tailnum, database: fleet}
locks: {timeout: 200ms, budget: 1s}
"""
    )
    with services.connect("fleet") as blocker:
        blocker.execute("BEGIN")
        blocker.execute("SELECT FROM planes")
        with pytest.raises(LockBudgetExceeded, match="expand stays as it is in flights"):
            services.up()

    assert services.up().ended == "complete"
    assert services.one("SELECT count(*) FROM flights") == 101


def up_while_it_goes_away(services: Scene, database: str) -> None:
    """Run; when expand is done in `database`, it ends all sessions and lets nobody in."""

    def go_away(notice: Notice) -> None:
        if isinstance(notice, StepFinished) and notice.step.database == database:
            let_in(services, database, False)

    Runner(services.project(), go_away).advance(services.migration())


def let_in(services: Scene, database: str, allowed: bool) -> None:
    services.close()
    name = conninfo.conninfo_to_dict(services.urls[database])["dbname"]
    with psycopg.connect(services.urls[database], dbname="postgres", autocommit=True) as admin:
        parts: dict[str, Any] = {"name": sql.Identifier(str(name)), "allowed": sql.Literal(allowed)}
        admin.execute(sql.SQL("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}").format(**parts))
        if not allowed:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def come_back(services: Scene, database: str) -> None:
    """Let in again, after the lease that could not be given back ran out."""
    let_in(services, database, True)
    services.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'", database)


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
