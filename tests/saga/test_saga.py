"""A coordinator killed at a message, or a database cut off at one: no half state. `python -m tests.saga` does all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import Databases
from tests.saga.place import NAMES, Look, Place, Then
from tests.scene import Scene

from crossfade.server import Server, create_database, drop_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, server: Server, administrator: psycopg.Connection
) -> Iterator[Look]:
    """The three databases after a run that nothing disturbs."""
    root = tmp_path_factory.mktemp("undisturbed")
    unique = {name: f"{name}_{root.parent.name}_{root.name}".replace("-", "_") for name in NAMES}
    for database in unique.values():
        create_database(administrator, database)
    with pytest.MonkeyPatch.context() as patch:
        urls = {name: server.database_url(database) for name, database in unique.items()}
        scene = Scene(root, urls, patch.setenv)
        place = Place(scene)
        assert place.messages() > 200
        yield place.look()
        scene.close()
    for database in unique.values():
        drop_database(administrator, database)


@pytest.fixture
def place(undisturbed: Look, tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    scene = Scene(tmp_path, dict(zip(NAMES, databases(*NAMES), strict=True)), monkeypatch.setenv)
    yield Place(scene)
    scene.close()


@pytest.mark.parametrize(("message", "then"), [(2, "rollback"), (60, "up"), (150, "rollback"), (260, "up")])
def test_a_coordinator_killed_at_a_message_is_followed_by_one_that_ends_its_work(
    place: Place, undisturbed: Look, message: int, then: Then
) -> None:
    assert place.kill(message)

    assert place.half_begun() == []
    assert place.finish(then, undisturbed) == []


def test_a_way_back_that_is_killed_is_ended_by_the_next(place: Place, undisturbed: Look) -> None:
    place.scene.up(through="validate")

    assert place.kill(40, "rollback")

    assert place.finish("rollback", undisturbed) == []


@pytest.mark.parametrize(("database", "message", "then"), [("crew", 30, "up"), ("flights", 90, "rollback")])
def test_a_database_cut_off_at_a_message_is_finished_when_it_is_back(
    place: Place, undisturbed: Look, database: str, message: int, then: Then
) -> None:
    assert place.cut(message, database)

    assert place.half_begun() == []
    assert place.finish(then, undisturbed) == []
