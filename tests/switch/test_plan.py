"""switch_database is refused when planning, by name, where anything could not come along."""

from __future__ import annotations

import pytest
from tests.scene import Scene
from tests.switch.scene import spelled

from crossfade.changes import Refused
from crossfade.server import start_local


@pytest.mark.parametrize(
    ("database", "statement", "what"),
    [
        ("blue", "CREATE TABLE crew (id int PRIMARY KEY)", r"green has no table public\.crew"),
        ("blue", "ALTER TABLE planes ADD built date", r"public\.planes of green has no column built"),
        ("blue", "CREATE SEQUENCE tickets", r"green has no sequence public\.tickets"),
        ("blue", "ALTER TABLE flights SET UNLOGGED", r"public\.flights is unlogged"),
        ("blue", "ALTER TABLE flights DROP CONSTRAINT flights_pkey", r"flights of blue has no primary key"),
        ("green", "ALTER TABLE flights DROP CONSTRAINT flights_pkey", r"flights of green has no primary key"),
        ("blue", "ALTER TABLE flights REPLICA IDENTITY NOTHING", r"flights of blue has no primary key"),
        ("green", "ALTER TABLE planes ADD built date NOT NULL", r"built of public\.planes in green is NOT NULL"),
        ("green", "INSERT INTO planes (code) VALUES ('X')", r"planes of green has had rows"),
        ("blue", "SELECT lo_from_bytea(0, 'x')", "blue has large objects"),
        (
            "green",
            "ALTER TABLE flights DROP CONSTRAINT flights_pkey, ADD PRIMARY KEY (id, plane)",
            r"the primary key of public\.flights is \(id\) in blue and \(id, plane\) in green",
        ),
    ],
)
def test_what_would_be_lost_is_refused_by_name(pair: Scene, database: str, statement: str, what: str) -> None:
    pair.sql(statement, database)

    with pytest.raises(Refused, match=what):
        pair.up()

    assert pair.one("SELECT count(*) FROM pg_publication") == 0


def test_a_trigger_that_fires_for_replicated_rows_is_refused(pair: Scene) -> None:
    pair.sql("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", "green")
    pair.sql("CREATE TRIGGER stamp BEFORE INSERT ON planes FOR EACH ROW EXECUTE FUNCTION f()", "green")
    pair.sql("ALTER TABLE planes ENABLE ALWAYS TRIGGER stamp", "green")

    with pytest.raises(Refused, match=r"trigger stamp of public\.planes in green fires"):
        pair.up()


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE TABLE crew (id int PRIMARY KEY)", "crew"),
        ("ALTER TABLE planes ADD built date", "planes.built"),
        ("CREATE SEQUENCE tickets", "public.tickets"),
        ("SELECT lo_from_bytea(0, 'x')", "large_objects"),
    ],
)
def test_it_may_stay_behind_where_the_spec_says_so(pair: Scene, statement: str, name: str) -> None:
    pair.sql(statement)
    pair.spec(spelled(pair.root / "pgbouncer.ini", f"without: [{name}]"))

    plan = pair.runner().plan(pair.migration())

    assert any(name in hazard.what for hazard in plan.hazards if hazard.code == "not-replicated")


def test_what_is_carried_well_cannot_be_said_to_stay_behind(pair: Scene) -> None:
    pair.spec(spelled(pair.root / "pgbouncer.ini", "without: [plains]"))

    with pytest.raises(Refused, match="plains would not stay behind"):
        pair.up()


def test_a_server_that_does_not_log_for_it_is_refused(pair: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_local(settings={"wal_level": "replica"}) as server:
        monkeypatch.setenv("GREEN_URL", server.url)

        with pytest.raises(Refused, match="the server of green has wal_level replica"):
            pair.up()
