"""OpenLineage events of a run, as the official client writes them to a file or posts them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.scene import Scene
from tests.telemetry.receiver import receiving

from crossfade.execute import Outcome, Runner, StepRefused
from crossfade.execute.notice import ignore
from crossfade.telemetry import reported

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text, name text);
CREATE TABLE profiles (id int PRIMARY KEY, mail text);
INSERT INTO users SELECT i, 'Secret' || i, 'n' FROM generate_series(1, 100) AS i"""
SPEC = """owner: team-identity
changes:
  - add_column: {table: users, column: mail, type: text, up: lower(email), down: {email: mail}}
  - insert_rows: {table: profiles, from: users, values: {id: id, mail: email}}
"""
UNMAPPABLE = SPEC.replace(
    "text, up: lower(email), down: {email: mail}", "int, up: email::int, down: {email: mail::text}"
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy with other tests it may take a while."""
    monkeypatch.setattr("crossfade.telemetry.lineage._PATIENCE", 60.0)


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that they go to."""
    path = tmp_path / "lineage.jsonl"
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(path))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    return path


def up(scene: Scene, *, through: str | None = None) -> Outcome:
    project = scene.project()
    return Runner(project, reported(project, ignore)).advance(scene.migration(), through=through)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def of(events: list[dict[str, Any]], job: str, state: str) -> dict[str, Any]:
    (found,) = [event for event in events if (event["job"]["name"], event["eventType"]) == (job, state)]
    return found


def test_each_leg_is_a_run_of_its_job_that_starts_and_completes(scene: Scene, events: Path) -> None:
    scene.sql(SCHEMA)
    scene.spec(SPEC)

    up(scene, through="validate")

    states: dict[str, list[str]] = defaultdict(list)
    runs: dict[str, set[str]] = defaultdict(set)
    for event in read(events):
        states[event["job"]["name"]].append(event["eventType"])
        runs[event["job"]["name"]].add(event["run"]["runId"])
    assert states == {f"m.{leg}": ["START", "COMPLETE"] for leg in ("expand", "backfill", "validate")}
    assert all(len(ids) == 1 for ids in runs.values())


def test_the_backfill_tells_what_each_column_is_made_of_and_how_many_rows_it_wrote(scene: Scene, events: Path) -> None:
    scene.sql(SCHEMA)
    scene.spec(SPEC)

    up(scene, through="validate")

    address = conninfo_to_dict(scene.urls[scene.first])
    backfill = of(read(events), "m.backfill", "COMPLETE")
    outputs = {dataset["name"]: dataset for dataset in backfill["outputs"]}
    users, profiles = (f"{address['dbname']}.public.{table}" for table in ("users", "profiles"))
    assert [dataset["name"] for dataset in backfill["inputs"]] == [users]
    assert outputs[users]["outputFacets"]["outputStatistics"]["rowCount"] >= 100
    made = outputs[users]["facets"]["columnLineage"]["fields"]["mail"]["inputFields"]
    assert [(each["name"], each["field"]) for each in made] == [(users, "email")]
    assert made[0]["transformations"][0]["description"] == "lower(email)"
    (copied,) = outputs[profiles]["facets"]["columnLineage"]["fields"]["mail"]["inputFields"]
    assert (copied["name"], copied["field"], copied["transformations"][0]["subtype"]) == (users, "email", "IDENTITY")
    assert backfill["job"]["facets"]["ownership"]["owners"] == [{"name": "team-identity"}]


@pytest.mark.parametrize("spec", [SPEC, UNMAPPABLE], ids=["complete", "fail"])
def test_every_event_and_facet_has_what_openlineage_requires(scene: Scene, events: Path, spec: str) -> None:
    scene.sql(SCHEMA)
    scene.spec(spec)

    with suppress(StepRefused):
        up(scene)

    told = read(events)
    for event in told:
        assert event["eventType"] in {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}
        assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
        assert is_uri(event["producer"])
        assert is_uri(event["schemaURL"])
        assert str(UUID(event["run"]["runId"])) == event["run"]["runId"]
        for named in (event["job"], *event["inputs"], *event["outputs"]):
            assert named["namespace"]
            assert named["name"]
    found = [*facets(told)]
    assert {name for name, _ in found} >= {"ownership", "columnLineage", "outputStatistics"}
    for name, facet in found:
        assert is_uri(facet["_producer"]), name
        assert is_uri(facet["_schemaURL"]), name


def is_uri(text: str) -> bool:
    found = urlsplit(text)
    return found.scheme == "https" and bool(found.netloc)


def facets(anything: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every facet in it, of whatever kind, with its name."""
    match anything:
        case dict():
            for key, value in cast(dict[str, Any], anything).items():
                if key.lower().endswith("facets"):
                    yield from value.items()
                else:
                    yield from facets(value)
        case list():
            for each in cast(list[Any], anything):
                yield from facets(each)
        case _:
            pass


def test_what_stops_a_leg_is_told_without_a_value(scene: Scene, events: Path) -> None:
    scene.sql(SCHEMA)
    scene.spec(
        SPEC.replace("text, up: lower(email), down: {email: mail}", "int, up: email::int, down: {email: mail::text}")
    )

    with pytest.raises(StepRefused):
        up(scene)

    failed = of(read(events), "m.validate", "FAIL")
    assert "100 rows in conflict" in failed["run"]["facets"]["errorMessage"]["message"]
    assert "Secret" not in events.read_text()


def test_no_event_holds_a_password(scene: Scene, events: Path) -> None:
    scene.sql(SCHEMA)
    scene.spec(SPEC)
    password = conninfo_to_dict(scene.urls[scene.first])["password"]

    up(scene, through="expand")

    assert str(password) not in events.read_text()


def test_a_rollback_is_a_job_of_its_own(scene: Scene, events: Path) -> None:
    scene.sql(SCHEMA)
    scene.spec(SPEC)
    up(scene, through="expand")
    project = scene.project()

    Runner(project, reported(project, ignore)).rollback("m")

    assert [of(read(events), "m.rollback", state)["eventType"] for state in ("START", "COMPLETE")]


def test_events_are_posted_where_the_variables_of_the_client_say(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.sql(SCHEMA)
    scene.spec(SPEC)
    with receiving() as receiver:
        monkeypatch.setenv("OPENLINEAGE_URL", receiver.url)
        monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "payments")
        up(scene, through="expand")

    (start, complete) = map(json.loads, receiver.bodies("/api/v1/lineage"))
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["job"]["namespace"] == "payments"


def test_a_migration_goes_on_where_the_receiver_is_away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.sql(SCHEMA)
    scene.spec(SPEC)
    transport = {"TYPE": "http", "URL": "http://127.0.0.1:9", "RETRY": '{"total": 0}'}
    for name, value in transport.items():
        monkeypatch.setenv(f"OPENLINEAGE__TRANSPORT__{name}", value)

    assert up(scene, through="expand").ended == "reached"


def test_a_wrong_configuration_stops_nothing_and_is_not_repeated(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene.sql(SCHEMA)
    scene.spec(SPEC)
    monkeypatch.setenv("OPENLINEAGE_URL", "http://user:S3cret@/x y")

    assert up(scene, through="expand").ended == "reached"
    assert "lineage is told nothing: ValueError in its configuration" in caplog.text
    assert "S3cret" not in caplog.text


def test_nothing_is_loaded_or_told_unless_a_variable_asks_for_it(scene: Scene) -> None:
    assert reported(scene.project(), ignore) is ignore
