"""crossfade up: as far as the gates allow, with consent, told as it goes."""

from __future__ import annotations

import json
import signal
import time

from tests.cli.calls import Call, state
from tests.cli.specs import ADD, APPROVED, LOWER, users
from tests.scene import Scene

SESSIONS = (
    "SELECT wait_event_type FROM pg_stat_activity"
    " WHERE application_name LIKE 'crossfade % m' AND datname = current_database()"
)


def test_it_goes_to_the_end_where_no_gate_stands(scene: Scene, call: Call) -> None:
    users(scene)

    result = call("up", "--yes")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "m is complete"
    assert scene.one("SELECT email FROM users WHERE id = 7") == "user7@example.com"


def test_what_it_waits_for_is_told_and_no_failure(scene: Scene, call: Call) -> None:
    users(scene, LOWER + "gates: {contract: [{soak: 7d}, {approval: {count: 1}}]}\n")

    result = call("up", "--yes")

    assert result.exit_code == 0
    assert "m waits before cutover:" in result.stdout
    assert "soak 7d: 7d of 7d are left (may hold at 20" in result.stdout
    assert "somebody has to approve: `crossfade approve m`" in result.stdout


def test_a_gate_that_will_never_hold_is_a_failure(scene: Scene, call: Call) -> None:
    users(scene, LOWER + "gates: {contract: [{sql: 'SELECT true WHERE false'}]}\n")

    result = call("up", "--yes")

    assert result.exit_code == 1
    assert "it will not hold as things are" in result.stdout


def test_a_refused_step_is_a_failure_and_told_once(scene: Scene, call: Call) -> None:
    users(scene)
    scene.sql("INSERT INTO users VALUES (9001, 'SAME@example.com'), (9002, 'same@example.com')")

    result = call("up", "--yes")

    assert result.exit_code == 1
    assert "m was refused:" in result.stderr
    assert result.stderr.count("1 values of public.users (email) that stand in more than one row") == 1


def test_a_phase_is_the_last_one_done(scene: Scene, call: Call) -> None:
    users(scene)

    result = call("up", "m", "--yes", "--phase", "backfill")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "m: backfill has passed; `crossfade up m` goes on"
    assert set(scene.ledger().legs("m")) == {"expand", "backfill"}


def test_a_phase_there_is_not_is_refused_before_anything_is_written(scene: Scene, call: Call) -> None:
    users(scene)
    before = state(scene)

    unknown, missing = call("up", "--yes", "--phase", "contrakt"), call("up", "m", "--yes", "--phase", "tighten")

    assert (unknown.exit_code, missing.exit_code) == (2, 1)
    assert "did you mean `contract`?" in unknown.stderr
    assert "it has: expand, backfill, validate, cutover, archive, drop" in missing.stderr
    assert state(scene) == before


def test_without_a_terminal_and_without_yes_nothing_is_done(scene: Scene, call: Call) -> None:
    users(scene)
    before = state(scene)

    for arguments in ((), ("m",), ("--json",)):
        result = call("up", *arguments)
        assert result.exit_code == 2
        assert "say --yes" in result.stderr

    assert state(scene) == before


def test_all_migrations_go_in_their_order_and_who_comes_after_an_unfinished_one_is_left_out(
    scene: Scene, call: Call
) -> None:
    users(scene, APPROVED)
    scene.spec(f"after: [m]\n{ADD}", id="a")
    scene.spec(ADD.replace("seen", "other"), id="z")

    result = call("up", "--yes")

    assert result.exit_code == 0
    assert "a comes after m" in result.stdout
    assert "z is complete" in result.stdout

    assert call("approve", "m").exit_code == 0
    result = call("up", "--yes")

    assert result.stdout.index("m is complete") < result.stdout.index("a is complete")
    assert "nothing to do: 3 migrations, all complete" in call("up", "--yes").stdout


def test_one_that_must_wait_for_anothers_tables_is_an_error_only_when_it_was_asked_for(
    scene: Scene, call: Call
) -> None:
    users(scene, APPROVED)
    scene.spec(LOWER.replace("lower(email)", "email").replace("email", "age"), id="n")

    together, alone = call("up", "--yes"), call("up", "n", "--yes")

    assert (together.exit_code, alone.exit_code) == (0, 1)
    assert "n changes rows of public.users, which m is changing now" in together.stderr
    assert "n changes rows of public.users, which m is changing now" in alone.stderr


def test_a_database_that_is_away_stops_its_own_migrations_only(scene: Scene, call: Call) -> None:
    users(scene)
    databases = scene.root / "databases.yaml"
    databases.write_text(databases.read_text() + "away: {url: env:AWAY_URL}\n")
    scene.spec(ADD, id="a", database="away")

    result = call("up", "--yes")

    assert result.exit_code == 1
    assert "a was refused:" in result.stderr
    assert "AWAY_URL is not set" in result.stderr
    assert "m is complete" in result.stdout


def test_json_is_one_object_a_line_and_nothing_else(scene: Scene, call: Call) -> None:
    users(scene, APPROVED)

    lines = [json.loads(line) for line in call("up", "--yes", "--json").stdout.splitlines()]

    assert {line["migration"] for line in lines} == {"m"}
    assert all(line["at"] for line in lines)
    events = [line["event"] for line in lines]
    assert events[0] == "begun"
    assert {"leg started", "step started", "step finished", "progress", "leg passed", "gate answered"} <= set(events)
    assert lines[-1]["event"] == "ended"
    assert lines[-1]["state"] == "waiting"
    assert lines[-1]["waiting"][0]["gate"] == "approval"


def test_a_paused_and_an_undone_migration_are_left_alone_unless_named(scene: Scene, call: Call) -> None:
    users(scene, APPROVED)
    call("up", "--yes", "--phase", "expand")
    call("pause", "m")

    assert "m is paused: `crossfade resume m`" in call("up", "--yes").stdout

    call("resume", "m")
    call("rollback", "m", "--yes")

    assert "m was undone: `crossfade up m` starts it again" in call("up", "--yes").stdout
    assert "m waits before cutover" in call("up", "m", "--yes").stdout


def test_one_that_was_taken_back_to_a_phase_stays_there_unless_named(scene: Scene, call: Call) -> None:
    users(scene, APPROVED)
    call("up", "--yes")
    call("rollback", "m", "--to", "expand", "--yes")

    assert "m was taken back to expand: `crossfade up m` goes on" in call("up", "--yes").stdout
    assert [leg for leg, record in scene.ledger().legs("m").items() if record.passed_at] == ["expand"]
    assert "m waits before cutover" in call("up", "m", "--yes").stdout


def test_on_a_terminal_it_asks_before_it_starts_and_before_old_values_go(scene: Scene, call: Call) -> None:
    users(scene)

    code, said = call.on_terminal("up", answers={"Go on? [y/N]: ": "y", "no more instant. Go on? [y/N]: ": "n"})

    assert code == 1
    assert "expand → backfill → validate → cutover → archive → drop on app" in said
    assert "public.users in app" in said
    assert "Next is archive" in said
    assert set(scene.ledger().legs("m")) == {"expand", "backfill", "validate", "cutover"}

    code, said = call.on_terminal("up", "m", answers={"Go on? [y/N]: ": "y", "no more instant. Go on? [y/N]: ": "y"})

    assert code == 0
    assert "m is complete" in said


def test_a_no_on_the_terminal_changes_nothing(scene: Scene, call: Call) -> None:
    users(scene)
    before = state(scene)

    code, said = call.on_terminal("up", answers={"Go on? [y/N]: ": "n"})

    assert code == 1
    assert "stopped; nothing more was done" in said
    assert state(scene) == before


def test_stopped_by_a_signal_it_says_so_leaves_no_statement_and_goes_on_when_run_again(
    scene: Scene, call: Call
) -> None:
    users(scene)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        blocker = scene.connect()
        blocker.execute("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE")
        process = call.begin("up", "m", "--yes")
        _wait_until_it_retries(scene)

        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        blocker.close()

        assert process.returncode == code, err
        assert "Traceback" not in out + err
        assert _ended(scene)
    assert "run the same command again" in err or number == signal.SIGTERM

    assert call("up", "m", "--yes").exit_code == 0


def _wait_until_it_retries(scene: Scene) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if scene.one(f"SELECT count(*) FROM ({SESSIONS}) AS s WHERE wait_event_type = 'Lock'"):
            return
        time.sleep(0.05)
    raise AssertionError("it never came to wait for the lock")


def _ended(scene: Scene) -> bool:
    """All its sessions are gone from the server, which takes a moment to see that they are closed."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not scene.one(f"SELECT count(*) FROM ({SESSIONS}) AS s"):
            return True
        time.sleep(0.05)
    return False
