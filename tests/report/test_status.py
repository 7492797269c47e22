"""read_status and what is made of it: one row a migration, whatever state it and its databases are in."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import psycopg
import pytest
from rich.console import Console
from tests.scene import Scene

from crossfade.execute import ExecutionFailed, LockBudgetExceeded
from crossfade.execute.status import MigrationStatus, read_status
from crossfade.ledger import lease
from crossfade.report import print_status, status_json

USERS = """
CREATE TABLE users (id bigint PRIMARY KEY, email text, age text);
INSERT INTO users SELECT n, format('User%s@Example.com', n), n % 90 FROM generate_series(1, 500) AS n
"""
LOWER = """
changes:
  - change_column: {table: users, column: email, to: {nullable: false}, up: lower(email), down: email}
"""
WAITS = LOWER + "gates: {contract: [{approval: {count: 1}}, {soak: 7d}]}\n"


def status(scene: Scene, id: str = "m") -> MigrationStatus:  # noqa: A002
    return next(each for each in read_status(scene.project()) if each.id == id)


@pytest.fixture
def users(scene: Scene) -> Scene:
    scene.sql(USERS)
    return scene


def test_what_has_not_started_says_what_it_comes_after_or_that_it_may_begin(users: Scene) -> None:
    users.spec(WAITS)
    users.spec(f"after: [m]\n{LOWER}", id="n")

    assert status(users).state == "not started"
    assert status(users).leg == "expand"
    assert status(users).waits_for == "a runner: `crossfade up m` starts it"
    assert status(users, "n").waits_for == "m to be complete"


def test_gates_that_do_not_hold_are_told_with_the_moment_since_when(users: Scene) -> None:
    users.spec(WAITS)
    users.up()

    found = status(users)

    assert (found.state, found.phase, found.leg) == ("waiting", "contract", "cutover")
    assert [gate.gate for gate in found.waiting] == ["approval", "soak 7d"]
    assert found.waits_for == ("approval: somebody has to approve: `crossfade approve m`; soak 7d: 7d of 7d are left")
    assert found.since is not None
    assert (datetime.now(UTC) - found.since).total_seconds() < 60


def test_gates_of_a_point_that_was_left_behind_are_not_waited_for(users: Scene) -> None:
    users.spec(LOWER + "gates: {expand: [{sql: 'SELECT count(*) > 500 FROM users'}]}\n")
    users.up()
    assert status(users).waiting[0].point == "before expand"

    users.sql("INSERT INTO users VALUES (501, 'x', '1')")
    users.up(through="backfill")

    assert status(users).waiting == ()
    assert status(users).waits_for == "a runner: `crossfade up m` goes on"
    assert status(users).leg == "validate"


def test_a_complete_an_undone_and_a_paused_one_say_so(users: Scene) -> None:
    users.spec(WAITS)
    users.up()
    users.ledger().pause("m")
    assert status(users).state == "paused"
    assert status(users).waits_for.endswith("to resume it: `crossfade resume m`")

    users.ledger().resume("m")
    users.rollback()
    assert status(users).state == "undone"

    users.spec(LOWER, id="n")
    users.up(id="n")
    assert status(users, "n").state == "complete"
    assert status(users, "n").since is not None
    assert status(users, "n").waits_for == ""


def test_a_complete_one_says_where_its_spec_ended_it(users: Scene) -> None:
    users.spec(LOWER + "contract: {stages: [cutover: {}]}\n")
    users.up()

    assert (status(users).state, status(users).phase, status(users).leg) == ("complete", "contract", "cutover")


def test_whoever_works_on_it_is_named_until_the_lease_runs_out(users: Scene) -> None:
    users.spec(WAITS)
    users.up()
    held = lease.acquire(users.connect(), "m", "me@here pid 1")
    assert (status(users).state, status(users).holder) == ("running", "me@here pid 1")

    users.sql(f"UPDATE crossfade.migration SET lease_until = now() - interval '1 s' WHERE epoch = {held.epoch}")

    assert (status(users).state, status(users).holder) == ("waiting", None)


def test_the_share_of_a_walk_that_was_cut_off_is_told_with_the_step_it_ended_at(users: Scene) -> None:
    users.spec(LOWER)
    users.up(through="expand")
    users.sql("INSERT INTO crossfade.leg (migration, leg) VALUES ('m', 'backfill')")
    users.ledger().step_running("m", "public.users/backfill", "backfill")
    users.sql(
        "INSERT INTO crossfade.progress (migration, step, unit, leaf_schema, leaf, filenode, first_block, next_block,"
        " end_block) VALUES ('m', 'public.users/backfill', 1, 'public', 'users', 1, 0, 4, 4),"
        " ('m', 'public.users/backfill', 2, 'public', 'users', 1, 4, 5, 8)"
    )

    found = status(users)

    assert found.progress == 5 / 8
    assert found.waits_for.endswith("which ended at: fill new column email of public.users")


def test_what_a_check_refused_is_the_problem_until_it_is_mended(users: Scene) -> None:
    users.spec(LOWER)
    users.sql("UPDATE users SET email = NULL WHERE id < 4")
    with pytest.raises(Exception, match="3 rows without a value"):
        users.up()
    assert status(users).problem == "3 rows without a value in public.users.email"

    users.sql("UPDATE users SET email = 'x' WHERE id < 4")
    users.up(through="validate")

    assert status(users).problem is None


def test_why_a_run_ended_shows_until_the_next_one_goes_on(users: Scene) -> None:
    users.spec("changes: [{sql: {up: CREATE TABLE taken (), down: DROP TABLE taken}}]\n")
    users.sql("CREATE TABLE taken ()")
    with pytest.raises(ExecutionFailed):
        users.up()

    assert status(users).state == "waiting"
    assert status(users).problem == 'run SQL: CREATE TABLE taken (): relation "taken" already exists'
    assert "run failed" in [event.kind for event in users.ledger().events("m")]

    users.sql("DROP TABLE taken")
    users.up()
    assert status(users).problem is None


def test_an_edited_spec_is_a_problem_that_shows(users: Scene) -> None:
    users.spec(WAITS)
    users.up()
    users.spec(WAITS.replace("lower(", "upper("))

    assert status(users).problem == "the spec was edited after it started"


def test_a_spec_that_was_edited_before_anything_was_done_is_no_problem(users: Scene) -> None:
    never = "gates: {expand: [{sql: SELECT false}]}\n"
    users.spec(LOWER + never)
    users.up()
    users.spec(LOWER.replace("lower(", "upper(") + never)

    assert status(users).problem is None
    assert users.up().ended == "waiting"


def test_a_spec_that_was_edited_is_no_problem_on_the_way_back(users: Scene) -> None:
    users.spec(WAITS)
    users.up()
    users.spec(WAITS.replace("lower(", "upper("))
    users.ledger().set_state("m", "undoing")

    assert status(users).problem is None


def test_a_database_that_does_not_answer_hides_its_own_migrations_only(
    users: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = users.root / "databases.yaml"
    file.write_text(file.read_text() + "away: {url: env:AWAY_URL}\nwrong: {url: env:WRONG_URL}\n")
    monkeypatch.setenv("WRONG_URL", "postgresql://me:hunter2@127.0.0.1:1/x")
    users.spec(WAITS)
    users.spec(LOWER, id="a", database="away")
    users.spec(LOWER, id="b", database="wrong")

    assert status(users).state == "not started"
    assert status(users, "a").state == status(users, "b").state == "unreachable"
    assert "AWAY_URL is not set" in (status(users, "a").problem or "")
    assert "hunter2" not in (status(users, "b").problem or "")
    assert status(users, "b").waits_for == ""
    (why,) = status(users, "b").unasked
    assert why.fix == "check env:WRONG_URL and that the server runs"
    told = next(each for each in status_json(read_status(users.project())) if each["id"] == "b")
    assert told["unasked"][0]["where"].endswith("databases.yaml:3:1")
    assert told["unasked"][0]["fix"] == why.fix


def test_a_second_database_that_does_not_answer_is_a_problem_of_the_migration(
    users: Scene, monkeypatch: pytest.MonkeyPatch, databases: Any
) -> None:
    (other,) = databases("other")
    with psycopg.connect(other) as connection:
        connection.execute("CREATE TABLE logins (id bigint PRIMARY KEY, name text)")
    monkeypatch.setenv("OTHER_URL", other)
    file = users.root / "databases.yaml"
    file.write_text(file.read_text() + "other: {url: env:OTHER_URL}\n")
    more = "  - add_column: {database: other, table: logins, column: seen, type: timestamptz}\n"
    users.spec(LOWER + more + "gates: {contract: [{approval: {count: 1}}]}\n")
    users.up()
    assert status(users).databases == ("app", "other")
    assert status(users).problem is None

    monkeypatch.delenv("OTHER_URL")

    assert status(users).state == "waiting"
    assert (status(users).problem or "").startswith("database other: the environment variable OTHER_URL")


def test_a_thousand_migrations_take_as_many_queries_as_two(users: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    users.spec(WAITS)
    users.up()
    queries = [_queries_for(users, count, monkeypatch) for count in (2, 1000)]

    assert queries[0] == queries[1] <= 11


def _queries_for(users: Scene, count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many queries the status of so many migrations takes, every other one of them running."""
    for number in range(count):
        users.spec(WAITS, id=f"m{number}")
    users.sql(
        "INSERT INTO crossfade.migration (id, title, spec_text, spec_digest, plan, plan_digest, state)"
        " SELECT 'm' || n, '', '', '', plan, '', CASE WHEN n % 2 = 0 THEN 'complete' ELSE 'running' END"
        f" FROM crossfade.migration, generate_series(0, {count - 1}) AS n WHERE id = 'm' ON CONFLICT DO NOTHING"
    )
    project = users.project()
    execute: Any = psycopg.Cursor.execute
    asked: list[Any] = []

    def noted(*arguments: Any, **more: Any) -> Any:
        asked.append(arguments)
        return execute(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", noted)
        assert len(read_status(project)) == count + 1
    return len(asked)


def test_the_table_has_a_row_a_migration_and_says_what_is_wrong(users: Scene) -> None:
    users.spec(WAITS)
    users.up()
    users.spec(LOWER, id="n", database="app")
    text = StringIO()

    print_status(read_status(users.project()), Console(file=text, width=200))

    header, first, second = text.getvalue().splitlines()
    assert header.split() == ["migration", "state", "at", "progress", "waits", "for", "since"]
    assert first.startswith("m          waiting")
    assert "contract: cutover" in first
    assert "7d of 7d are left" in first
    assert first.rstrip().endswith(("just now", "ago"))
    assert second.startswith("n          not started")


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_gets_lines_instead_of_a_table(users: Scene, width: int) -> None:
    users.spec(WAITS, id="normalize_the_addresses_of_users")
    users.up(id="normalize_the_addresses_of_users")
    text = StringIO()

    print_status(read_status(users.project()), Console(file=text, width=width))

    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == "normalize_the_addresses_of_users"
    assert lines[1].startswith("  waiting · contract: cutover")
    assert "`crossfade approve normalize_the_addresses_of_users`" in " ".join(line.strip() for line in lines)


def test_json_has_moments_as_text_and_gates_whole(users: Scene) -> None:
    users.spec(WAITS)
    users.up()

    (found,) = status_json(read_status(users.project()))

    assert found["state"] == "waiting"
    assert found["waiting"][0]["gate"] == "approval"
    assert datetime.fromisoformat(found["since"]).tzinfo is not None


ADD = "changes: [{add_column: {table: users, column: seen, type: text}}]\nlocks: {timeout: 300ms, budget: %s}\n"


def test_whoever_held_the_lock_is_shown_when_the_budget_is_used_up(users: Scene) -> None:
    users.spec(ADD % "100ms")
    with users.connect() as blocker:
        blocker.execute("SET application_name = 'nightly report'")
        blocker.execute("BEGIN")
        blocker.execute("SELECT FROM users WHERE email = 'S3cret'")
        with pytest.raises(LockBudgetExceeded):
            users.up()

    (held,) = status(users).blockers
    text = StringIO()
    print_status(read_status(users.project()), Console(file=text, width=300))

    assert (held.application, held.query) == ("nightly report", "SELECT FROM users WHERE email = ?")
    assert f"held by pid {held.pid} (" in text.getvalue()
    users.up()
    assert status(users).blockers == ()


def test_whoever_holds_the_lock_is_shown_while_it_is_waited_for(users: Scene) -> None:
    users.spec(LOWER)
    users.up(through="expand")
    held = lease.acquire(users.connect(), "m", "me@here pid 1")
    with users.connect() as blocker, users.connect() as ours:
        ours.execute("SELECT set_config('application_name', %s, false)", (lease.session_name("m", held.epoch),))
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE users")
        waiting = threading.Thread(target=ours.execute, args=("SELECT FROM users",))
        waiting.start()
        try:
            deadline = time.monotonic() + 10
            while not (found := status(users).blockers) and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            blocker.execute("COMMIT")
            waiting.join()

    assert [each.query for each in found] == ["LOCK TABLE users"]


def test_a_migration_whose_spec_is_gone_is_listed_with_its_phase(users: Scene) -> None:
    users.spec(WAITS)
    users.up()
    (users.root / "migration_specs" / "m.yaml").unlink()

    found = status(users)

    assert (found.title, found.state, found.phase) == ("m", "waiting", "contract")
    assert found.problem == "spec gone from migration_specs/"
