"""Through PgBouncer: a pooler that shares server connections is refused before anything is set."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from tests.execute.pgbouncer import PROGRAM, pgbouncer
from tests.scene import Scene

from crossfade.execute.session import PooledSession

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")

SPEC = "changes: [{add_column: {table: items, column: lowered, type: text, up: lower(name)}}]\n"


@pytest.fixture
def place() -> Generator[Path]:
    """A directory that the account PgBouncer runs as may enter."""
    path = Path(tempfile.mkdtemp(prefix="crossfade-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def table(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text)")
    scene.sql("INSERT INTO items SELECT i, 'Name ' || i FROM generate_series(1, 1000) AS i")
    scene.spec(SPEC)
    return scene


@pytest.fixture
def pooled(table: Scene, place: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """The scene's database is reached through a pooler in transaction mode."""
    with pgbouncer(table.urls["app"], place, "transaction") as url:
        monkeypatch.setenv("APP_URL", url)
        yield url


def test_a_pooler_in_transaction_mode_is_refused_with_what_to_do(table: Scene, pooled: str) -> None:
    with pytest.raises(PooledSession, match="shares server connections") as refused:
        table.up()

    assert "direct_url: env:" in (refused.value.fix or "")
    assert table.one("SELECT to_regnamespace('crossfade') IS NULL")


def test_nothing_of_ours_stays_behind_in_a_connection_that_others_use(table: Scene, pooled: str) -> None:
    with pytest.raises(PooledSession):
        table.up()

    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as application:
        timeout = application.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert timeout == ("0",)


def test_direct_url_is_taken_past_the_pooler_while_applications_write_through_it(
    table: Scene, pooled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_DIRECT_URL", table.urls["app"])
    (table.root / "databases.yaml").write_text("app: {url: env:APP_URL, direct_url: env:APP_DIRECT_URL}\n")

    table.up(through="expand")
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as application:
        application.execute("UPDATE items SET name = 'By the Pooler' WHERE id = 7")
    table.up()

    assert table.one("SELECT lowered FROM items WHERE id = 7") == "by the pooler"


def test_a_pooler_in_session_mode_is_as_good_as_the_server(
    table: Scene, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pgbouncer(table.urls["app"], place, "session") as url:
        monkeypatch.setenv("APP_URL", url)

        table.up(through="expand")

    assert "lowered" in table.columns("items")
