"""The sensor: started migrations go on when their gates hold, and it always says what is waited for."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Generator
from typing import Any

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterRunStatus, RunRequest
from dagster._core.definitions.sensor_definition import SensorExecutionData
from tests.execute.test_kills import run_out_leases
from tests.orchestrate.orchestra import FILL, SWAP, Orchestra

from crossfade.execute import pause
from crossfade.ledger import lease
from crossfade.orchestrate import tick as tick_room

OPEN = "CREATE TABLE door AS SELECT false AS is_open"
NAMED = """\
suite: named
title: Every item has a name
table: items
expectations: [{expect_column_values_to_not_be_null: {column: name}}]
"""
DOOR = '{sql: "SELECT is_open FROM door", title: the door is open}'


def requests(tick: SensorExecutionData) -> list[RunRequest]:
    return list(tick.run_requests or ())


def asked_for(tick: SensorExecutionData) -> list[str]:
    return ["/".join(key.path) for request in requests(tick) for key in request.asset_selection or ()]


def said(tick: SensorExecutionData) -> str:
    return tick.skip_message or ""


def end_run(orchestra: Orchestra, request: RunRequest) -> None:
    """A run as it was requested, which has ended in order."""
    job = orchestra.definitions().resolve_implicit_global_asset_job_def()
    run = orchestra.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.STARTED)
    ended = DagsterEvent(DagsterEventType.RUN_SUCCESS.value, job.name)
    orchestra.instance.report_dagster_event(ended, run.run_id)


def test_a_migration_that_has_not_started_is_left_alone(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)

    tick = orchestra.tick()

    assert asked_for(tick) == []
    assert said(tick) == "1 not started"


def test_the_next_leg_of_a_started_migration_is_requested_with_its_checks(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL + "gates: {contract: [{soak: 7d}]}\n")
    orchestra.scene.up(through="backfill")

    (request,) = requests(orchestra.tick())

    assert [key.path[-1] for key in request.asset_selection or ()] == ["validate"]
    assert [key.name for key in request.asset_check_keys or ()] == ["may_contract"]
    plan = orchestra.scene.runner().plan(orchestra.scene.migration())
    assert request.run_key == f"m:{plan.digest[:16]}:validate:first"
    assert (request.tags["crossfade/migration"], request.tags["crossfade/leg"]) == ("m", "validate")


def test_a_leg_that_must_soak_is_told_with_its_time_and_not_asked(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "gates: {contract: [{soak: 7d}]}\n")
    orchestra.scene.up()
    checked = "SELECT checked_at FROM crossfade.gate"
    before = orchestra.scene.one(checked)

    tick = orchestra.tick()

    assert asked_for(tick) == []
    assert "m: cutover waits until 20" in said(tick)
    assert "soak 7d: 7d of 7d are left" in said(tick)
    assert orchestra.scene.one(checked) == before


def test_a_leg_that_must_soak_goes_on_when_people_who_may_override_that(orchestra: Orchestra) -> None:
    scene = orchestra.scene
    me = scene.one("SELECT session_user::text")
    scene.spec(SWAP + f"gates: {{contract: [{{soak: 7d}}]}}\noverride: {{from: {me}, count: 1}}\n")
    scene.up()
    cursor = orchestra.tick().cursor
    plan = scene.runner().plan(scene.migration()).digest
    scene.ledger().approve(
        "m", team=None, plan_digest=plan, reason="nobody writes", overrides=("before cutover", "soak 7d")
    )

    assert asked_for(orchestra.tick(cursor)) == ["app/m/cutover"]


def test_an_approval_that_opens_nothing_leaves_the_time_at_which_a_soak_ends(orchestra: Orchestra) -> None:
    scene = orchestra.scene
    scene.spec(SWAP + "gates: {contract: [{soak: 7d}]}\n")
    scene.up()
    scene.ledger().approve("m", team=None, plan_digest="of another plan", reason=None)

    asked = orchestra.tick()
    checked = scene.one("SELECT checked_at FROM crossfade.gate")
    not_asked = orchestra.tick()

    assert "soak 7d" in said(asked)
    assert "m: cutover waits until 20" in said(not_asked)
    assert scene.one("SELECT checked_at FROM crossfade.gate") == checked


def test_a_gate_that_will_never_hold_is_asked_again_right_after_an_override_of_it(orchestra: Orchestra) -> None:
    scene = orchestra.scene
    me = scene.one("SELECT session_user::text")
    scene.sql("CREATE VIEW door AS SELECT is_open FROM (VALUES (true), (true)) AS v(is_open)")
    scene.spec(SWAP + f"gates: {{contract: [{DOOR}]}}\noverride: {{from: {me}, count: 1}}\n")
    scene.up(through="validate")
    first = orchestra.tick()
    not_yet = orchestra.tick(first.cursor)
    plan = scene.runner().plan(scene.migration()).digest
    door = ("before cutover", "sql the door is open")
    scene.ledger().approve("m", team=None, plan_digest=plan, reason="it is a view", overrides=door)

    assert "it gives several rows, not one" in said(first)
    assert "looked at again 20" in said(not_yet)
    assert asked_for(orchestra.tick(not_yet.cursor)) == ["app/m/cutover"]


def test_the_gates_of_a_leg_are_asked_when_it_is_time(orchestra: Orchestra) -> None:
    orchestra.scene.sql(OPEN)
    orchestra.scene.spec(SWAP + f"gates: {{contract: [{DOOR}]}}\n")
    orchestra.scene.up()
    shut = orchestra.tick()
    orchestra.scene.sql("UPDATE door SET is_open = true")

    opened = orchestra.tick()  # without the cursor, which says not to ask again at once

    assert "m: cutover waits: sql the door is open: it gives false" in said(shut)
    assert asked_for(opened) == ["app/m/cutover"]


def test_gates_are_not_asked_all_the_time(orchestra: Orchestra) -> None:
    orchestra.scene.sql(OPEN)
    orchestra.scene.spec(SWAP + f"gates: {{contract: [{DOOR}]}}\n")
    orchestra.scene.up()
    cursor = orchestra.tick().cursor
    assert cursor is not None
    later = json.dumps(json.loads(cursor) | {"ask_again": {"m:cutover": time.time() + 60}})
    orchestra.scene.sql("UPDATE door SET is_open = true")

    tick = orchestra.tick(later)

    assert asked_for(tick) == []
    assert "looked at again 20" in said(tick)


@pytest.fixture
def silent() -> Generator[str]:
    """The address of an endpoint that takes a question and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/version"


@pytest.mark.parametrize("kind", ["sql", "deployed"])
def test_a_gate_that_takes_long_is_asked_by_a_run_and_holds_up_no_other(
    orchestra: Orchestra, kind: str, silent: str
) -> None:
    scene = orchestra.scene
    scene.sql("CREATE TABLE others (LIKE items INCLUDING ALL)")
    endpoint = f"{{deployed: {{url: '{silent}', path: $.version, at_least: '2'}}}}"
    slow = "{sql: SELECT pg_sleep(30) IS NULL}" if kind == "sql" else endpoint
    for name, table, gate in (("m0", "items", slow), ("m1", "others", "{sql: SELECT true}")):
        scene.spec(
            f"changes: [{{add_column: {{table: {table}, column: code, type: text, up: name}}}}]\n"
            f"gates: {{backfill: {{before: [{gate}]}}}}\n",
            id=name,
        )
        scene.up(through="expand", id=name)

    first = orchestra.tick()
    second = orchestra.tick(first.cursor)

    assert "app/m0/backfill" in asked_for(first)
    assert "app/m1/backfill" in [*asked_for(first), *asked_for(second)]
    assert scene.sql("SELECT gate FROM crossfade.gate WHERE migration = 'm0'") == []


def test_a_suite_is_asked_by_a_run_and_not_by_a_tick(orchestra: Orchestra) -> None:
    (orchestra.scene.root / "validations" / "named.yaml").write_text(NAMED)
    orchestra.scene.spec(SWAP + "gates: {contract: [{suite: named}]}\n")
    orchestra.scene.up(through="validate")

    tick = orchestra.tick()

    assert asked_for(tick) == ["app/m/cutover"]
    assert orchestra.scene.sql("SELECT gate FROM crossfade.gate WHERE point = 'before cutover'") == []


def test_a_suite_that_did_not_hold_is_not_asked_by_run_after_run(orchestra: Orchestra) -> None:
    (orchestra.scene.root / "validations" / "named.yaml").write_text(NAMED)
    orchestra.scene.spec(SWAP + "gates: {contract: [{suite: named}]}\n")
    orchestra.scene.up(through="validate")
    (request,) = requests(orchestra.tick())
    orchestra.scene.ledger().record_gate(
        "m", "before cutover", "suite named", state="waits", reason="3 rows have no name", holds_at=None, evidence={}
    )
    end_run(orchestra, request)

    tick = orchestra.tick()

    assert asked_for(tick) == []
    assert "m: cutover waits for suite named: 3 rows have no name; looked at again 20" in said(tick)


def test_a_suite_that_did_not_hold_is_asked_once_more_right_after_an_approval(orchestra: Orchestra) -> None:
    (orchestra.scene.root / "validations" / "named.yaml").write_text(NAMED)
    orchestra.scene.spec(SWAP + "gates: {contract: [{suite: named}]}\n")
    orchestra.scene.up(through="validate")
    (request,) = requests(orchestra.tick())
    orchestra.scene.ledger().record_gate(
        "m", "before cutover", "suite named", state="waits", reason="3 rows have no name", holds_at=None, evidence={}
    )
    end_run(orchestra, request)
    before = orchestra.tick()
    plan = orchestra.scene.runner().plan(orchestra.scene.migration()).digest
    orchestra.scene.ledger().approve("m", team=None, plan_digest=plan, reason=None)

    (again,) = requests(after := orchestra.tick(before.cursor))
    end_run(orchestra, again)

    assert asked_for(before) == []
    assert again.run_key != request.run_key
    assert asked_for(orchestra.tick(after.cursor)) == []


def test_a_leg_whose_run_has_not_ended_is_not_requested_again(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="expand")
    (request,) = requests(orchestra.tick())
    job = orchestra.definitions().resolve_implicit_global_asset_job_def()
    orchestra.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.STARTED)

    tick = orchestra.tick()

    assert asked_for(tick) == []
    assert "a run of it has not ended" in said(tick)


def test_a_leg_that_a_person_launched_a_moment_ago_is_not_requested_too(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="expand")
    job = orchestra.definitions().resolve_implicit_global_asset_job_def()
    launched = frozenset({orchestra.assets()["backfill"]})
    orchestra.instance.create_run_for_job(
        job.get_subset(asset_selection=launched), asset_selection=launched, status=DagsterRunStatus.STARTING
    )

    tick = orchestra.tick()

    assert asked_for(tick) == []
    assert "a run of it has not ended" in said(tick)


def test_a_leg_whose_run_a_person_cancelled_is_left_to_people(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="expand")
    (request,) = requests(orchestra.tick())
    job = orchestra.definitions().resolve_implicit_global_asset_job_def()
    orchestra.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.CANCELED)

    tick = orchestra.tick()

    assert asked_for(tick) == []
    assert "m: the last run of backfill was cancelled; materialize backfill to go on" in said(tick)


def test_a_leg_that_failed_is_requested_again_later_under_a_new_key(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.scene.spec("changes: [{add_constraint: {table: items, name: short, check: length(name) < 3}}]\n")
    orchestra.materialize()

    soon = orchestra.tick()
    monkeypatch.setattr("crossfade.orchestrate.tick._FIRST_WAIT", 0.0)
    later = orchestra.tick()

    assert "m: validate did not pass in its last run; looked at again 20" in said(soon)
    (request,) = requests(later)
    (failed,) = orchestra.instance.get_runs()
    assert (request.run_key or "").endswith(f":validate:{failed.run_id[:8]}")


@pytest.mark.parametrize("state", ["paused", "worked on", "undoing"])
def test_a_migration_that_must_not_go_on_is_only_told(orchestra: Orchestra, state: str) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="expand")
    with orchestra.scene.connect() as other:
        match state:
            case "paused":
                orchestra.scene.ledger().pause("m")
            case "worked on":
                lease.acquire(other, "m", "ada@host pid 7")
            case _:
                orchestra.scene.ledger().set_state("m", "undoing")

        tick = orchestra.tick()

    assert asked_for(tick) == []
    assert ("ada@host pid 7 works on it" if state == "worked on" else f"m: {state}") in said(tick)


def test_a_database_that_is_away_is_told_and_harms_nobody(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.scene.spec(FILL)
    monkeypatch.setenv("APP_URL", "postgresql://nobody@127.0.0.1:9/app")

    tick = orchestra.tick()

    assert "m: unreachable" in said(tick)


def test_only_so_many_are_requested_at_once_and_the_others_come_next(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.orchestrate.tick.AT_ONCE", 2)
    for name in ("m0", "m1", "m2"):
        orchestra.scene.spec(f"changes: [{{add_column: {{table: items, column: c_{name}, type: text}}}}]\n", id=name)
        orchestra.scene.up(through="expand", id=name)

    first = orchestra.tick()
    second = orchestra.tick(first.cursor)

    assert asked_for(first) == ["app/m0/backfill", "app/m1/backfill"]
    assert asked_for(second) == ["app/m2/backfill", "app/m0/backfill"]


def test_a_tick_asks_for_a_moment_only_and_the_next_one_goes_on(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.orchestrate.tick._SECONDS", 0.0)
    orchestra.scene.sql(OPEN)
    orchestra.scene.sql("CREATE TABLE others (LIKE items INCLUDING ALL)")
    for name, table in (("m0", "items"), ("m1", "others")):
        orchestra.scene.spec(
            f"changes: [{{add_column: {{table: {table}, column: code, type: text, up: name}}}}]\n"
            f"gates: {{backfill: {{before: [{DOOR}]}}}}\n",
            id=name,
        )
        orchestra.scene.up(id=name)

    first = orchestra.tick()
    second = orchestra.tick(first.cursor)

    assert "m0: backfill waits: sql the door is open" in said(first)
    assert "m1: it is looked at in the next tick" in said(first)
    assert "m1: backfill waits: sql the door is open" in said(second)
    assert "m0: it is looked at in the next tick" in said(second)


def test_requests_take_a_migration_to_its_end(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.materialize("expand")
    cursor: str | None = None
    while requests(tick := orchestra.tick(cursor)):
        cursor = tick.cursor
        assert orchestra.materialize(*(key.split("/")[-1] for key in asked_for(tick))).is_green

    assert said(tick) == "1 complete"


def test_what_the_command_line_did_is_shown_as_materialized(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP + "gates: {contract: [{soak: 7d}]}\n")
    orchestra.materialize("expand")
    orchestra.scene.up()

    first = orchestra.tick()
    second = orchestra.tick(first.cursor)

    shown = [event.asset_key.path[-1] for event in first.asset_events]
    assert shown == ["backfill", "validate"]
    assert list(second.asset_events) == []


@pytest.mark.parametrize(("to", "left"), [("backfill", ["expand", "backfill"]), (None, [])])
def test_what_the_command_line_took_back_is_green_no_more(
    orchestra: Orchestra, to: str | None, left: list[str]
) -> None:
    orchestra.scene.spec(SWAP)
    played = orchestra.materialize("expand", "backfill", "validate")
    cursor = orchestra.tick().cursor
    orchestra.scene.rollback(to=to)

    tick = orchestra.tick(cursor)

    assert orchestra.green() == left
    told = [event.asset_key.path[-1] for event in tick.asset_events]
    assert told == [leg for leg in ("expand", "backfill", "validate") if leg not in left]
    assert played.materialized == ["expand", "backfill", "validate"]  # its run tells it as before
    assert list(orchestra.tick(tick.cursor).asset_events) == []


def test_what_was_done_again_after_it_was_taken_back_is_green(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.materialize("expand", "backfill")
    cursor = orchestra.tick().cursor
    orchestra.scene.rollback(to="expand")
    cursor = orchestra.tick(cursor).cursor
    orchestra.scene.up(through="backfill")

    shown = [event.asset_key.path[-1] for event in orchestra.tick(cursor).asset_events]

    assert shown == ["backfill"]


def test_what_passes_while_a_tick_looks_stays_green(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.materialize("expand")
    status_of = tick_room.status_of

    def then_backfill_passes(*asked: Any) -> Any:
        found = status_of(*asked)
        orchestra.materialize("backfill")
        return found

    monkeypatch.setattr(tick_room, "status_of", then_backfill_passes)
    orchestra.tick()

    assert orchestra.green() == ["expand", "backfill"]


def test_what_a_person_took_back_is_not_done_again_before_somebody_says_so(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.scene.up(through="validate")
    orchestra.scene.rollback(to="backfill")

    held = orchestra.tick()
    orchestra.scene.up(through="validate")
    gone_on = orchestra.tick()

    assert asked_for(held) == []
    assert "m: waiting: somebody to let it go on: it was taken back to backfill; `crossfade up m` goes on" in said(held)
    assert asked_for(gone_on) == ["app/m/cutover"]


def test_what_a_dead_runner_left_hidden_is_given_back_though_the_migration_is_paused(orchestra: Orchestra) -> None:
    orchestra.scene.spec(
        "changes: [{rename_column: {table: items, from: name, to: title}}]\n"
        "contract: {stages: [{brownout: {for: 10m}}, {retire: }]}\n"
    )
    assert orchestra.scene.start_process(fault="hidden:1").ending().killed
    pause(orchestra.scene.project(), "m")
    run_out_leases(orchestra.scene)

    (request,) = requests(orchestra.tick())

    assert request.tags["crossfade/leg"] == "brownout"
    assert orchestra.scene.up().ended == "paused"
    assert orchestra.scene.columns("items") == ["id", "name", "title"]
    assert requests(orchestra.tick()) == []
