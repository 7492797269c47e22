"""crossfade audit and conflicts: what happened, that nobody edited it, and which rows stand in the way."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo
from tests.cli.calls import Call
from tests.cli.specs import LOWER, users
from tests.scene import Scene

TO_NUMBER = """
changes:
  - change_column: {table: users, column: age, to: {type: integer}, up: "age::integer", down: "age::text"}
"""


def test_the_log_tells_who_did_what_oldest_first(scene: Scene, call: Call) -> None:
    users(scene)
    call("up", "--yes")

    lines = call("audit", "log", "m").stdout.splitlines()
    last = [json.loads(line) for line in call("audit", "log", "--last", "2", "--json").stdout.splitlines()]

    assert "m  migration started" in lines[0]
    assert lines[-1].endswith(f"({scene.one('SELECT session_user')})")
    assert [event["seq"] for event in last] == [len(lines) - 1, len(lines)]
    assert last[-1]["kind"] == "migration complete"


def test_an_edited_event_is_found_and_a_failure(scene: Scene, call: Call) -> None:
    users(scene)
    call("up", "--yes")
    assert call("audit", "verify").stdout.endswith("the chain is sound\n")

    scene.sql("ALTER TABLE crossfade.event DISABLE TRIGGER ALL")
    scene.sql("UPDATE crossfade.event SET role = 'somebody else' WHERE seq = 3")

    result = call("audit", "verify", "app")
    assert result.exit_code == 1
    assert result.stdout == "app: broken: event 3 was edited; the 2 before it are sound\n"
    assert json.loads(call("audit", "verify", "--json").stdout)[0]["problem"] == "event 3 was edited"


def test_a_database_that_does_not_answer_is_not_called_sound(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("APP_URL")

    result = call("audit", "verify")

    assert result.exit_code == 1
    assert result.stdout.startswith("app: not verified: the environment variable APP_URL is not set")
    assert call("audit", "log").exit_code == 1


def test_a_database_name_there_is_not_is_a_wrong_call(scene: Scene, call: Call) -> None:
    assert call("audit", "verify", "ap").exit_code == 2


def test_rows_in_conflict_are_listed_by_key_column_reason_and_age_without_a_value(scene: Scene, call: Call) -> None:
    users(scene, TO_NUMBER)
    scene.sql("UPDATE users SET age = 'forty-two' WHERE id IN (7, 8)")

    refused = call("up", "--yes")
    listed, data = call("conflicts", "m"), json.loads(call("conflicts", "m", "--json").stdout)

    assert refused.exit_code == 1
    assert "2 rows in conflict" in refused.stderr
    assert "public.users id invalid text representation (22P02)" in " ".join(listed.stdout.split())
    assert "2 open; mend them, then `crossfade up m` tries them again" in listed.stdout
    assert [(each["relation"], each["key_columns"], each["sqlstate"], "key" in each) for each in data] == [
        ("public.users", ["id"], "22P02", False)
    ] * 2
    everything = refused.output + listed.output + call("audit", "log").output + call("status").output
    assert "forty-two" not in everything


def test_keys_of_rows_in_conflict_are_shown_when_values_are_asked_for(scene: Scene, call: Call) -> None:
    users(scene, TO_NUMBER)
    scene.sql("UPDATE users SET age = 'forty-two' WHERE id IN (7, 8)")
    call("up", "--yes")

    listed = call("conflicts", "m", "--values").stdout
    data = json.loads(call("conflicts", "m", "--values", "--json").stdout)

    assert "id=7" in listed
    assert [each["key"] for each in data] == [{"id": 7}, {"id": 8}]
    assert "forty-two" not in listed


def test_where_no_row_is_in_conflict_that_is_said(scene: Scene, call: Call) -> None:
    users(scene, LOWER)
    call("up", "--yes")

    assert call("conflicts", "m").stdout == "m has no open conflicts\n"


def test_who_may_not_read_the_ledger_is_told_the_right_to_look_and_no_more(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(scene)
    call("up", "--yes")
    reader = f"reader_{uuid4().hex[:8]}"
    scene.sql(f"CREATE ROLE {reader} LOGIN PASSWORD 'secret'")
    try:
        monkeypatch.setenv("APP_URL", make_conninfo(scene.urls["app"], user=reader, password="secret"))

        for said in (call("audit", "verify").stdout, call("audit", "log").stderr):
            assert f"GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO {reader}" in said
            assert "GRANT ALL" not in said
    finally:
        scene.sql(f"DROP ROLE {reader}")


def test_an_export_proves_later_that_nobody_wrote_the_chain_anew(scene: Scene, call: Call) -> None:
    users(scene)
    call("up", "--yes", "--phase", "expand")
    kept = scene.root / "events.jsonl"
    kept.write_text(call("audit", "export").stdout)
    call("up", "--yes")
    assert call("audit", "verify", "--export", str(kept)).exit_code == 0

    # As the owner of the ledger can: an event edited, and every hash from it on made to fit.
    scene.sql(
        "ALTER TABLE crossfade.event DISABLE TRIGGER ALL; UPDATE crossfade.event SET role = 'nobody' WHERE seq = 2"
    )
    scene.sql(
        """
DO $$ DECLARE e crossfade.event; before bytea := '\\x'; BEGIN
  FOR e IN SELECT * FROM crossfade.event ORDER BY seq LOOP
    UPDATE crossfade.event SET previous = before, hash = sha256(before || convert_to(concat_ws(chr(31), seq,
      to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), migration, kind, role, body::text), 'UTF8'))
     WHERE seq = e.seq RETURNING hash INTO before;
  END LOOP;
  UPDATE crossfade.event_head SET hash = before;
END $$"""
    )

    assert call("audit", "verify").exit_code == 0
    result = call("audit", "verify", "--export", str(kept))
    assert result.exit_code == 1
    assert "app: broken: it does not begin with the" in result.stdout


def test_an_export_that_was_edited_or_is_none_is_refused_with_its_place(scene: Scene, call: Call) -> None:
    users(scene)
    call("up", "--yes", "--phase", "expand")
    kept = scene.root / "events.jsonl"
    kept.write_text(call("audit", "export").stdout.replace('"role": "', '"role": "x'))
    result = call("audit", "verify", "--export", str(kept))
    assert result.exit_code == 1
    assert "why: event 1 of app was edited" in result.stderr

    kept.write_text('{"database": "app"}\n')
    assert f"{kept}:1:1: this line is no exported event" in call("audit", "verify", "--export", str(kept)).stderr
    assert call("audit", "verify", "--export", str(kept) + "x").exit_code == 1
