"""Whatever is wrong, one clear message, exit code 1 or 2, nothing changed."""

from __future__ import annotations

from collections.abc import Generator
from uuid import uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.cli.calls import Call, state
from tests.cli.specs import APPROVED, LOWER, users
from tests.scene import HEAD, Scene

SECRET = "hunter2-and-more"
SHORT = "locks: {timeout: 100ms, budget: 1s}\n"


def test_an_unknown_key_is_told_with_its_place_and_the_nearest_key(scene: Scene, call: Call) -> None:
    change = "  - change_column: {table: users, colum: email, to: {nullable: false}}"
    scene.spec(f"changes:\n{change}\n")

    result = call("check")

    assert result.exit_code == 1
    assert f"m.yaml:6:{change.index('colum:') + 1}: unknown key `colum`" in result.stdout
    assert "did you mean `column`?" in result.stdout


def test_a_wrong_type_is_told_with_its_place(scene: Scene, call: Call) -> None:
    change = "  - change_column: {table: users, column: email, to: {nullable: maybe}}"
    scene.spec(f"changes:\n{change}\n")

    result = call("check")

    assert result.exit_code == 1
    assert f"m.yaml:6:{change.index('maybe') + 1}: " in result.stdout
    assert "1 problem" in result.stdout


def test_two_migrations_of_one_name_are_refused_naming_both_files(scene: Scene, call: Call) -> None:
    scene.spec(LOWER)
    (scene.root / "migration_specs" / "n.yaml").write_text(HEAD.format(id="m", database="app") + LOWER)

    result = call("up", "--yes")

    assert result.exit_code == 1
    assert "n.yaml:2:12: the id `m` is taken" in result.stderr
    assert "m.yaml:2:12 has it too" in result.stderr


def test_a_circle_of_after_is_refused_whole(scene: Scene, call: Call) -> None:
    scene.spec(f"after: [b]\n{LOWER}", id="a")
    scene.spec(f"after: [a]\n{LOWER}", id="b")

    result = call("check")

    assert result.exit_code == 1
    assert result.stdout.count("migrations wait for each other") == 1


def test_an_edited_spec_that_has_started_is_refused_with_the_difference(scene: Scene, call: Call) -> None:
    users(scene, APPROVED)
    assert call("up", "--yes").exit_code == 0
    scene.spec(APPROVED.replace("lower(email)", "upper(email)"))
    before = state(scene)

    result = call("up", "m", "--yes")

    assert result.exit_code == 1
    assert "m.yaml was edited after m started" in result.stderr
    assert "up: lower(email)" in result.stderr
    assert "up: upper(email)" in result.stderr
    assert state(scene) == before


def test_a_complete_migration_stays_complete_and_its_edited_spec_is_refused(scene: Scene, call: Call) -> None:
    users(scene)
    assert call("up", "--yes").exit_code == 0
    assert "m is complete" in call("up", "m", "--yes").stdout
    scene.spec(LOWER.replace("lower(email)", "upper(email)"))

    for arguments in (("up", "--yes"), ("up", "m", "--yes")):
        result = call(*arguments)
        assert result.exit_code == 1
        assert "m.yaml was edited after m started" in result.stderr


def test_a_column_that_does_not_exist_is_told_before_anything_is_written(scene: Scene, call: Call) -> None:
    users(scene, LOWER.replace("column: email", "column: emial"))
    before = state(scene)

    for arguments in (("plan", "m"), ("up", "--yes")):
        result = call(*arguments)
        assert result.exit_code == 1
        assert "m.yaml:7:43: " in result.stderr
        assert "emial" in result.stderr
        assert "email" in result.stderr

    assert state(scene) == before


def test_a_database_that_is_not_in_databases_yaml_is_told_with_the_nearest_one(scene: Scene, call: Call) -> None:
    scene.spec(LOWER, database="ap")

    result = call("check")

    assert result.exit_code == 1
    assert "`ap` is no database of this project" in result.stdout
    assert "did you mean `app`?" in result.stdout


def test_a_gate_asks_no_database_that_is_not_in_databases_yaml(scene: Scene, call: Call) -> None:
    scene.spec(LOWER + "gates: {contract: [{sql: SELECT true, database: ap}]}\n")

    result = call("check")

    assert result.exit_code == 1
    assert "m.yaml:8:21: `ap` is no database of this project" in result.stdout
    assert "did you mean `app`?" in result.stdout


def test_a_server_that_goes_away_half_way_is_one_error_and_keeps_what_is_done(scene: Scene, call: Call) -> None:
    gone = "sql: {up: SELECT pg_terminate_backend(pg_backend_pid()), down: SELECT 1}"
    scene.spec(f"changes: [{{create_table: {{table: t, columns: [{{name: id, type: int}}]}}}}, {{{gone}}}]\n{SHORT}")

    result = call("up", "m", "--yes")

    assert result.exit_code == 1
    assert "a database did not answer" in result.stderr
    assert "run the same command again when it does" in result.stderr
    assert "Traceback" not in result.output
    assert scene.one("SELECT to_regclass('t') IS NOT NULL")


def test_an_up_that_is_no_sql_is_told_with_the_column_where_it_breaks(scene: Scene, call: Call) -> None:
    change = "  - change_column: {table: users, column: email, to: {nullable: false}, up: lower(email) oops}"
    scene.spec(f"changes:\n{change}\n")

    result = call("check")

    assert result.exit_code == 1
    assert f"m.yaml:6:{change.index('oops') + 1}: " in result.stdout


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://crossfade:{secret}@127.0.0.1:1/app", "database `app` cannot be reached"),
        ("postgresql://crossfade:{secret}@[broken/app", "is not a connection URL"),
        ("postgresql://crossfade:an@{secret}@127.0.0.1:1/app", "write @ as %40"),
        ("postgresql://crossfade:1/{secret}@127.0.0.1:1/app", "write @ as %40"),
        ("{secret}", "is not a connection URL"),
    ],
)
@pytest.mark.parametrize("command", [("plan", "m"), ("up", "--yes"), ("up", "m", "--yes"), ("status",)])
def test_a_wrong_url_is_told_without_its_password(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch, url: str, said: str, command: tuple[str, ...]
) -> None:
    users(scene)
    monkeypatch.setenv("APP_URL", url.format(secret=SECRET))

    result = call(*command)

    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert SECRET not in result.output


def test_a_database_the_server_does_not_have_is_told(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    users(scene)
    monkeypatch.setenv("APP_URL", make_conninfo(database, dbname="nowhere"))

    result = call("plan", "m")

    assert result.exit_code == 1
    assert "databases.yaml:1:1: database `app` cannot be reached" in result.stderr
    assert 'database "nowhere" does not exist' in result.stderr


def test_an_unset_variable_is_told_with_what_to_export(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(scene)
    monkeypatch.delenv("APP_URL")

    result = call("up", "m", "--yes")

    assert result.exit_code == 1
    assert "databases.yaml:1:1: the environment variable APP_URL is not set" in result.stderr
    assert "fix: export APP_URL=postgresql://" in result.stderr


@pytest.fixture
def stranger(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """A role that owns the table and no more; commands log in as it."""
    role = f"stranger_{uuid4().hex[:12]}"
    scene.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    monkeypatch.setenv("APP_URL", make_conninfo(scene.urls["app"], user=role, password=SECRET))
    yield role
    scene.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_role_that_may_not_make_the_ledger_is_told_the_grant_that_mends_it(
    scene: Scene, call: Call, stranger: str
) -> None:
    users(scene)
    scene.sql(f"ALTER TABLE users OWNER TO {stranger}; GRANT CREATE ON SCHEMA public TO {stranger}")
    before = state(scene)

    result = call("up", "m", "--yes")

    assert result.exit_code == 1
    assert "may not create the ledger" in result.stderr
    grant = f"GRANT CREATE ON DATABASE {conninfo_to_dict(scene.urls['app'])['dbname']}"
    assert grant in result.stderr.replace('"', "")
    assert SECRET not in result.output
    assert state(scene) == before


@pytest.mark.parametrize("command", [("up", "--yes"), ("up", "m", "--yes"), ("up", "m", "--yes", "--phase", "expand")])
def test_a_role_that_may_not_alter_the_table_is_told_before_anything_is_written(
    scene: Scene, call: Call, stranger: str, command: tuple[str, ...]
) -> None:
    users(scene)
    database = conninfo_to_dict(scene.urls["app"])["dbname"]
    scene.sql(f"GRANT CREATE ON DATABASE {database} TO {stranger}; GRANT CREATE ON SCHEMA public TO {stranger}")
    before = state(scene)

    result = call(*command)

    assert result.exit_code == 1
    assert f"role {stranger} neither owns public.users in database `app`" in result.stderr
    assert f'fix: ALTER TABLE "public"."users" OWNER TO "{stranger}"' in result.stderr
    assert scene.one("SELECT to_regnamespace('crossfade') IS NULL")
    assert state(scene) == before


def test_a_role_that_may_not_read_the_ledger_is_told_the_grant_that_mends_it(
    scene: Scene, call: Call, monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    users(scene, APPROVED)
    monkeypatch.setenv("APP_URL", scene.urls["app"])
    assert call("up", "--yes").exit_code == 0
    monkeypatch.setenv("APP_URL", make_conninfo(scene.urls["app"], user=stranger, password=SECRET))

    for command in (("up", "m", "--yes"), ("approve", "m"), ("status",)):
        result = call(*command)
        assert result.exit_code == 1
        assert f"GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO {stranger}" in " ".join(result.output.split())

    scene.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO {stranger}")
    for command in ("pause", "resume"):
        result = call(command, "m")
        assert result.exit_code == 1
        assert f'fix: GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO "{stranger}"' in result.stderr


def test_a_name_that_is_no_migration_is_a_wrong_call(scene: Scene, call: Call) -> None:
    users(scene)

    for command in ("plan", "approve", "pause", "resume", "conflicts"):
        result = call(command, "n")
        assert result.exit_code == 2
        assert "there is no migration `n`" in result.stderr
        assert "known here: m" in result.stderr


def test_a_broken_spec_is_told_when_it_is_asked_for_and_stands_in_no_other_ones_way(scene: Scene, call: Call) -> None:
    users(scene)
    scene.spec("changes: 5\n", id="broken")

    assert call("plan", "m").exit_code == 0
    assert "broken.yaml:5:10: " in call("plan", "broken").stderr
    assert call("up", "m", "--yes").exit_code == 0


def test_outside_of_a_project_every_command_says_how_to_begin_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    call = Call(tmp_path_factory.mktemp("nothing"))

    for command in (("status",), ("up", "--yes"), ("plan", "m"), ("audit", "verify"), ("check",)):
        result = call(*command)
        assert result.exit_code == 1
        assert "crossfade init" in result.stderr


@pytest.mark.parametrize("command", [("up", "--phase"), ("plan",), ("nonsense",), ("up", "--nonsense"), ("audit", "x")])
def test_a_call_that_means_nothing_ends_with_2(scene: Scene, call: Call, command: tuple[str, ...]) -> None:
    assert call(*command).exit_code == 2
