"""`crossfade dev`: real processes of Dagster, a run that is cancelled, and deaths that the UI tells the truth about."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from tests.execute.slow import AT_ONCE, SLOWLY, slow_items
from tests.orchestrate.dev_server import DevServer
from tests.orchestrate.orchestra import SLEEP, SLEEPING, wait_until
from tests.scene import Scene

from crossfade.server import Server, create_database, drop_database

ROWS = 20_000  # a walk that outlasts what a busy machine takes to kill its process
FILL = """
changes: [{{add_column: {{table: {table}, column: lowered, type: text, up: slowly(name)}}}}]
backfill: {{workers: 1, target: 50ms}}
gates: {{validate: {{before: [{{soak: 7d}}]}}}}
"""
TABLES = ("items", "orders")
WALKING = "SELECT count(*) FROM crossfade.progress WHERE migration = '{}' AND next_block > first_block"
UNMAPPED = "SELECT count(*) FROM {} WHERE lowered IS DISTINCT FROM lower(name)"
APPLIED = "SELECT sum(rows) FROM crossfade.progress WHERE migration = '{}'"
DONE_TWICE = """
SELECT count(*) FROM (SELECT FROM crossfade.event WHERE migration = '{}' AND kind = 'step done'
                       GROUP BY body ->> 'step' HAVING count(*) > 1) AS twice"""
NO_LEASE = "UPDATE crossfade.migration SET lease_until = now() WHERE id = '{}'"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, server: Server, administrator: psycopg.Connection
) -> Generator[Scene]:
    """One for all tests here, as they share a Dagster: a migration each."""
    root = tmp_path_factory.mktemp("dev")
    name = f"dev_{root.parent.name}_{root.name}".replace("-", "_")
    create_database(administrator, name)
    with pytest.MonkeyPatch.context() as patch:
        made = Scene(root, {"app": server.database_url(name)}, patch.setenv)
        made.sql(slow_items(ROWS))
        made.sql("CREATE TABLE orders (LIKE items INCLUDING ALL); INSERT INTO orders SELECT * FROM items")
        made.spec(SLEEP + "gates: {contract: [{soak: 7d}]}\n", id="sleeper")
        for table in TABLES:
            made.spec(FILL.format(table=table), id=f"fill_{table}")
        yield made
        made.close()
    drop_database(administrator, name)


class House:
    """The server that runs now; another one after it was killed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dev = DevServer(root)

    def restart(self) -> None:
        self.dev = DevServer(self.root)


@pytest.fixture(scope="module")
def house(scene: Scene) -> Generator[House]:
    made = House(scene.root)
    yield made
    made.dev.stop()


def begin_to_fill(scene: Scene, house: House, table: str) -> str:
    """A run that has written batches; gives it. It begins with expand, before which the sensor starts nothing."""
    migration = f"fill_{table}"
    scene.sql(SLOWLY)
    run = house.dev.web.launch(f"app/{migration}/expand", f"app/{migration}/backfill")
    assert wait_until(lambda: scene.one(WALKING.format(migration)), seconds=400)
    return run


def assert_failed_and_run_again(house: House, migration: str) -> None:
    """The first run failed, no other did, none is left. Where Dagster takes its time to run it again, the sensor asks
    for it too: that one finds everything done."""

    def is_told() -> bool:
        first, *others = house.dev.web.statuses(migration)
        return first == "FAILURE" and others != [] and {*others} == {"SUCCESS"}

    assert wait_until(is_told, seconds=400), house.dev.web.statuses(migration)
    assert house.dev.web.materializations(f"app/{migration}/backfill")


def assert_filled_once(scene: Scene, table: str) -> None:
    migration = f"fill_{table}"
    assert scene.one(UNMAPPED.format(table)) == 0
    assert scene.one(APPLIED.format(migration)) == ROWS
    assert scene.one(DONE_TWICE.format(migration)) == 0


def test_the_webserver_shows_the_assets(house: House) -> None:
    shown = house.dev.web.assets()

    assert {"app/sleeper/expand", "app/fill_items/backfill"} <= {*shown}


def test_a_cancelled_run_leaves_no_statement_behind(scene: Scene, house: House) -> None:
    run = house.dev.web.launch("app/sleeper/expand")
    assert wait_until(lambda: scene.one(SLEEPING) == 1, seconds=400)

    house.dev.web.cancel(run)

    assert wait_until(lambda: scene.one(SLEEPING) == 0, seconds=60)
    assert wait_until(lambda: house.dev.web.statuses("sleeper") == ["CANCELED"], seconds=400)


def test_a_run_whose_process_is_killed_fails_and_is_run_again(scene: Scene, house: House) -> None:
    run = begin_to_fill(scene, house, "items")

    house.dev.kill_worker(run)
    scene.sql(NO_LEASE.format("fill_items"))  # it would end in half a minute

    scene.sql(AT_ONCE)
    assert_failed_and_run_again(house, "fill_items")
    assert_filled_once(scene, "items")


def test_what_goes_with_its_machine_is_failed_by_the_next_dagster_and_run_again(scene: Scene, house: House) -> None:
    begin_to_fill(scene, house, "orders")

    house.dev.kill()
    scene.sql(NO_LEASE.format("fill_orders"))
    scene.sql(AT_ONCE)
    house.restart()

    assert_failed_and_run_again(house, "fill_orders")
    assert_filled_once(scene, "orders")
