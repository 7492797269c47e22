"""A trial of retire: the old column is gone for a while, nothing is lost, and it comes back whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import fast_directory
from tests.execute.test_kills import run_out_leases
from tests.orchestrate.orchestra import wait_until
from tests.scene import Scene

from crossfade.execute import Lookout, Next, Notice, Runner, StepStarted, pause, resume
from crossfade.execute.errors import StepRefused
from crossfade.server import LocalServer, create_database, start_local

USERS = """
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL DEFAULT 'none');
INSERT INTO users SELECT i, 'user' || i FROM generate_series(1, 20) AS i"""
RENAME = """
changes: [{{rename_column: {{table: users, from: email, to: address}}}}]
contract: {{stages: [{{brownout: {{for: {seconds}, without_log: true}}}}, {{retire: }}]}}
"""


@pytest.fixture
def users(scene: Scene) -> Scene:
    scene.sql(USERS)
    scene.spec(RENAME.format(seconds="300ms"))
    return scene


def hiding_for_long(scene: Scene) -> None:
    scene.spec(RENAME.format(seconds="10m"))


def looked_at(scene: Scene) -> Next:
    with Lookout(scene.project()) as lookout:
        return lookout.look(scene.migration())


def columns_while_hidden(scene: Scene, *statements: str) -> list[str]:
    """Run until the brownout, which a person pauses when the statements have been run; gives the columns then."""
    hiding_for_long(scene)
    scene.up(through="validate")
    run = threading.Thread(target=scene.up)
    run.start()
    try:
        wait_until_hidden(scene)
        for statement in statements:
            scene.sql(statement)
        return scene.columns("users")
    finally:
        pause(scene.project(), "m")
        run.join(30)


def wait_until_hidden(scene: Scene) -> None:
    for _ in range(600):
        if "email" not in scene.columns("users"):
            return
        threading.Event().wait(0.05)
    raise AssertionError("never hidden")


def test_the_column_is_gone_for_a_while_and_then_there_again(users: Scene) -> None:
    users.up(through="validate")
    before = users.schema()
    assert users.up(through="brownout").ended == "reached"

    kinds = [event.kind for event in users.ledger().events("m")]
    assert kinds.index("brownout began") < kinds.index("brownout ended")
    assert users.schema() == before


def test_retire_does_not_follow_where_nobody_knows_what_failed(users: Scene) -> None:
    users.spec(RENAME.format(seconds="300ms").replace(", without_log: true", ""))

    (waiting,) = users.up().waiting

    assert (waiting.point, waiting.label) == ("after brownout", "calm 0")


def test_retire_follows_it(users: Scene) -> None:
    assert users.up().ended == "complete"

    assert users.columns("users") == ["id", "address"]


def test_while_it_is_hidden_only_the_new_name_can_be_read(users: Scene) -> None:
    assert columns_while_hidden(users) == ["id", "address"]


def test_what_the_new_version_writes_meanwhile_is_there_for_the_old_one_afterwards(users: Scene) -> None:
    columns_while_hidden(
        users,
        "UPDATE users SET address = 'changed' WHERE id = 1",
        "INSERT INTO users (id, address) VALUES (21, 'new')",
        "INSERT INTO users (id) VALUES (22)",
    )

    assert users.sql("SELECT id, email, address FROM users WHERE id IN (1, 21, 22) ORDER BY id") == [
        (1, "changed", "changed"),
        (21, "new", "new"),
        (22, "none", "none"),
    ]


def test_what_is_written_afterwards_is_kept_in_step_as_before(users: Scene) -> None:
    users.up(through="brownout")
    users.sql("UPDATE users SET email = 'old wrote' WHERE id = 1; UPDATE users SET address = 'new wrote' WHERE id = 2")

    assert users.sql("SELECT email = address, email FROM users WHERE id <= 2 ORDER BY id") == [
        (True, "old wrote"),
        (True, "new wrote"),
    ]


def test_a_pause_gives_it_back_at_once_and_it_begins_anew_afterwards(users: Scene) -> None:
    columns_while_hidden(users)

    assert users.columns("users") == ["id", "email", "address"]
    assert [e.body["because"] for e in users.ledger().events("m") if e.kind == "brownout cut short"] == ["Paused"]
    resume(users.project(), "m")
    assert users.ledger().steps("m")["public.users/brownout"].state == "undone"


def test_nobody_waits_for_a_lock_while_it_is_hidden(users: Scene) -> None:
    held = "SELECT count(*) FROM pg_locks WHERE relation = 'users'::regclass AND pid <> pg_backend_pid()"
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()"
    hiding_for_long(users)
    users.up(through="validate")
    run = threading.Thread(target=users.up)
    run.start()
    try:
        wait_until_hidden(users)
        # What is committed is seen a moment before its locks are gone; and the lease is renewed now and then.
        assert wait_until(lambda: (users.one(held), users.one(idle)) == (0, 0), seconds=30)
    finally:
        pause(users.project(), "m")
        run.join(30)


@pytest.mark.parametrize("act", ["advance", "rollback"])
def test_a_runner_that_dies_leaves_it_hidden_and_the_next_gives_it_back_first(users: Scene, act: str) -> None:
    hiding_for_long(users)
    assert users.start_process(fault="hidden:1").ending().killed
    assert users.columns("users") == ["id", "address"]
    run_out_leases(users)
    seen: list[list[str]] = []

    def listen(notice: Notice) -> None:
        if isinstance(notice, StepStarted) and not seen:
            seen.append(users.columns("users"))
            pause(users.project(), "m")

    runner = Runner(users.project(), listen)
    if act == "rollback":
        runner.rollback("m")
    else:
        assert runner.advance(users.migration()).ended == "paused"

    assert "brownout cut short" in [event.kind for event in users.ledger().events("m")]
    assert users.columns("users")[:2] == ["id", "email"]
    assert all("email" in columns for columns in seen)


def test_a_dead_runners_brownout_is_due_at_once_whatever_its_gates_say(users: Scene) -> None:
    users.spec(RENAME.format(seconds="10m, gates: [{sql: SELECT count(*) = 0 FROM closed}]"))
    users.sql("CREATE TABLE closed (id int)")
    assert users.start_process(fault="hidden:1").ending().killed
    users.sql("INSERT INTO closed VALUES (1)")
    run_out_leases(users)

    looked = looked_at(users)

    assert (str(looked.leg), looked.waiting) == ("brownout", ())
    assert users.up().ended == "waiting"  # it was given back first
    assert users.columns("users") == ["id", "email", "address"]


def test_a_pause_does_not_keep_it_from_being_given_back(users: Scene) -> None:
    hiding_for_long(users)
    assert users.start_process(fault="hidden:1").ending().killed
    pause(users.project(), "m")
    run_out_leases(users)

    assert str(looked_at(users).leg) == "brownout"
    assert users.up().ended == "paused"
    assert users.columns("users") == ["id", "email", "address"]
    assert looked_at(users).leg is None


def test_it_is_not_begun_while_a_row_is_in_conflict(users: Scene) -> None:
    users.up(through="validate")
    users.sql("SELECT crossfade.note_conflict('m', 'public.users', '{\"id\": 1}', '22023')")

    with pytest.raises(StepRefused, match="came into conflict"):
        users.up()

    assert "email" in users.columns("users")


def test_a_rollback_takes_the_stages_back_as_if_it_had_not_been(users: Scene) -> None:
    before = users.schema()
    users.up()

    users.rollback()

    assert users.schema() == before
    assert users.own_objects() == []


def test_a_column_that_goes_without_a_new_one_is_tried_too(scene: Scene) -> None:
    scene.sql(USERS)
    scene.spec(
        "changes: [{drop_column: {table: users, column: email}}]\n"
        "contract: {stages: [{brownout: {for: 100ms, without_log: true}}, {retire: }]}\n"
    )

    assert scene.up(through="brownout").ended == "reached"

    assert scene.columns("users") == ["id", "email"]
    assert "brownout ended" in [event.kind for event in scene.ledger().events("m")]


WHOLE = {
    "drop_table: {table: users}": "users",
    "rename_table: {table: users, to: people}": "users",
    "drop_sequence: {sequence: numbers}": "numbers",
}


def taking_away(change: str, *, seconds: str) -> str:
    brownout = f"brownout: {{for: {seconds}, without_log: true}}"
    return f"changes: [{{{change}}}]\ncontract: {{stages: [{brownout}, retire: , drop: ]}}\n"


def is_there(scene: Scene, relation: str) -> bool:
    return (relation,) in scene.sql("SELECT relname FROM pg_class")


@pytest.fixture(params=WHOLE)
def whole(request: pytest.FixtureRequest, scene: Scene) -> tuple[Scene, str]:
    """A migration that takes away all of a relation, and its name; hidden for long."""
    scene.sql(USERS + "; CREATE SEQUENCE numbers")
    scene.spec(taking_away(request.param, seconds="10m"))
    return scene, WHOLE[request.param]


def test_a_whole_table_is_gone_for_a_while_and_then_there_again(scene: Scene) -> None:
    scene.sql(USERS)
    scene.spec(taking_away("drop_table: {table: users}", seconds="100ms"))
    scene.up(through="validate")
    before = scene.schema()

    assert scene.up(through="brownout").ended == "reached"

    kinds = [event.kind for event in scene.ledger().events("m")]
    assert kinds.index("brownout began") < kinds.index("brownout ended")
    assert scene.schema() == before
    assert scene.up().ended == "complete"
    assert not is_there(scene, "users")


@pytest.mark.parametrize("act", ["advance", "rollback"])
def test_a_runner_that_dies_leaves_a_relation_hidden_and_the_next_gives_it_back_first(
    whole: tuple[Scene, str], act: str
) -> None:
    scene, name = whole
    before = scene.schema()
    assert scene.start_process(fault="hidden:1").ending().killed
    assert not is_there(scene, name)
    run_out_leases(scene)
    seen: list[bool] = []

    def listen(notice: Notice) -> None:
        if isinstance(notice, StepStarted) and not seen:
            seen.append(is_there(scene, name))
            if act == "advance":
                pause(scene.project(), "m")

    runner = Runner(scene.project(), listen)
    if act == "rollback":
        assert runner.rollback("m").ended == "undone"
        assert scene.schema() == before
    else:
        assert runner.advance(scene.migration()).ended == "paused"

    assert "brownout cut short" in [event.kind for event in scene.ledger().events("m")]
    assert is_there(scene, name)
    assert all(seen)


@pytest.fixture
def logging_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    """On a server whose log can be read by itself."""
    with start_local(parent=fast_directory(), settings={"logging_collector": "on"}) as server:
        yield from scene_on(server, tmp_path, monkeypatch)


def scene_on(server: LocalServer, root: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    with psycopg.connect(server.url, autocommit=True) as administrator:
        create_database(administrator, "app")
    made = Scene(root, {"app": server.database_url("app")}, monkeypatch.setenv)
    yield made
    made.close()


def test_statements_that_miss_a_table_are_counted(logging_scene: Scene) -> None:
    scene = logging_scene
    scene.sql(USERS)
    scene.spec(taking_away("drop_table: {table: users}", seconds="5s"))
    scene.up(through="validate")

    def old_application() -> None:
        assert wait_until(lambda: not is_there(scene, "users"), seconds=30)
        with scene.connect() as session, pytest.raises(psycopg.errors.UndefinedTable):
            session.execute("SELECT email FROM public.users")

    application = threading.Thread(target=old_application)
    application.start()
    outcome = scene.up()
    application.join(30)

    (counted,) = [event.body for event in scene.ledger().events("m") if event.kind == "brownout counted"]
    assert counted["failed"] == 1
    assert (outcome.ended, is_there(scene, "users")) == ("waiting", True)


def test_statements_that_fail_meanwhile_are_counted_and_hold_retire_up(logging_scene: Scene) -> None:
    scene = logging_scene
    scene.sql(USERS)
    scene.spec(RENAME.format(seconds="5s"))
    scene.up(through="validate")
    failed: list[str] = []

    def old_application() -> None:
        wait_until_hidden(scene)
        for _ in range(3):
            with scene.connect() as session, pytest.raises(psycopg.errors.UndefinedColumn) as error:
                session.execute("SELECT email FROM users")
            failed.append(str(error.value))

    application = threading.Thread(target=old_application)
    application.start()
    outcome = scene.up()
    application.join(30)

    (ended,) = [event.body for event in scene.ledger().events("m") if event.kind == "brownout counted"]
    assert (len(failed), ended["failed"]) == (3, 3)
    assert outcome.ended == "waiting"
    assert outcome.waiting[0].answer.reason.startswith("3 statements failed for want of the hidden columns")
    assert scene.columns("users") == ["id", "email", "address"]
