"""The demo's clients are its witnesses: they must see what goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import psycopg
import pytest

from crossfade.demo.clients import Clients, Version
from crossfade.demo.data import SERVICES, load
from crossfade.demo.place import variable

pytestmark = pytest.mark.slow

FLEET = Version(service="fleet", number=1, instances=2)
FLIGHTS = Version(service="flights", number=1, instances=2)

Witnesses = tuple[Clients, dict[str, str]]


@pytest.fixture
def witnesses(databases: Callable[..., tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> Generator[Witnesses]:
    """Clients over both services, loaded with a few flights; and the addresses."""
    urls = dict(zip(SERVICES, databases(*SERVICES), strict=True))
    for service, url in urls.items():
        load(url, service, every=500)
        monkeypatch.setenv(variable(service), url)
    with Clients() as clients:
        yield clients, urls


def work(clients: Clients, *versions: Version) -> None:
    """Have the versions say a few dozen statements, then end."""
    for version in versions:
        clients.deploy(version)
    wanted = clients.figures.statements + 60
    deadline = time.monotonic() + 30
    while clients.figures.statements < wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    for version in versions:
        clients.drain(version)


def change(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_nothing_is_lost_where_nothing_went_wrong(witnesses: Witnesses) -> None:
    clients, _ = witnesses
    work(clients, FLIGHTS, FLEET)
    verdict = clients.finish()
    assert verdict.writes >= verdict.rows > 0
    assert (verdict.lost, verdict.diverged, clients.figures.misread) == (0, 0, 0)
    assert clients.figures.failed == {}


def test_a_row_that_vanished_is_lost(witnesses: Witnesses) -> None:
    clients, urls = witnesses
    work(clients, FLEET)
    change(urls["fleet"], "DELETE FROM planes")
    assert clients.finish().lost > 0


def test_a_value_that_changed_behind_its_writer_has_diverged(witnesses: Witnesses) -> None:
    clients, urls = witnesses
    work(clients, FLEET)
    change(urls["fleet"], "UPDATE planes SET year = 1900")
    verdict = clients.finish()
    assert (verdict.lost, verdict.diverged > 0) == (0, True)


def test_a_time_that_became_a_timestamp_is_the_same_only_if_it_is(witnesses: Witnesses) -> None:
    clients, urls = witnesses
    work(clients, FLIGHTS)
    change(urls["flights"], "ALTER TABLE flights ALTER time_hour TYPE timestamptz USING time_hour::timestamptz")
    assert clients.finish().diverged == 0


def test_a_statement_that_fails_is_counted_with_its_sqlstate(witnesses: Witnesses) -> None:
    clients, urls = witnesses
    change(urls["fleet"], "ALTER TABLE planes RENAME COLUMN year TO built")
    work(clients, FLEET)
    assert any(failure.startswith("42703 ") for failure in clients.figures.failed)
