"""databases.yaml: names, addresses that are never secrets, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.spec import Database, DatabaseAddressError, SpecError, load_databases

from .conftest import Write, placed

PROFILE = """\
profile: {url: env:PROFILE_DATABASE_URL, role: migrator, schema: app, environment: production, residency: eu}
"""
PASSWORD = "hunter2"


def load_one(write: Write, text: str) -> Database:
    (database,) = load_databases(write("databases.yaml", text)).values()
    return database


def refusal(write: Write, text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load_databases(write("databases.yaml", text))
    return caught.value


def test_a_database_is_known_by_its_name_with_what_the_file_says_of_it(write: Write) -> None:
    database = load_one(write, PROFILE)

    assert (database.name, database.role, database.schema) == ("profile", "migrator", "app")
    assert (database.environment, database.residency) == ("production", "eu")


def test_a_database_needs_only_a_url(write: Write) -> None:
    database = load_one(write, "profile: {url: env:X}")

    assert (database.role, database.schema, database.environment) == (None, "public", None)


def test_its_address_is_read_from_the_environment_when_it_is_used(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = load_one(write, PROFILE)

    monkeypatch.setenv("PROFILE_DATABASE_URL", f"postgresql://u:{PASSWORD}@host/db\n")

    assert database.conninfo() == f"postgresql://u:{PASSWORD}@host/db"
    assert PASSWORD not in repr(database) + str(database)


def test_its_address_may_be_kept_in_a_file(write: Write, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host=db dbname=profile\n")

    assert load_one(write, f"profile: {{url: 'file:{secret}'}}").conninfo() == "host=db dbname=profile"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_unset_variable_is_told_with_what_it_is_for(
    write: Write, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("PROFILE_DATABASE_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("PROFILE_DATABASE_URL", value)

    with pytest.raises(DatabaseAddressError) as caught:
        load_one(write, PROFILE).conninfo()

    assert placed(caught.value.problems[0]) == (
        "1:1: the environment variable PROFILE_DATABASE_URL is not set\n"
        "  why: it holds the connection URL of database `profile`\n"
        "  fix: export PROFILE_DATABASE_URL=postgresql://USER@HOST/DATABASE"
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\n", "is empty"),
        (b"\xff", "it is not UTF-8 text"),
    ],
)
def test_a_file_without_an_address_is_told_with_its_path(
    write: Write, tmp_path: Path, content: bytes | None, what: str
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)

    with pytest.raises(DatabaseAddressError, match=what) as caught:
        load_one(write, f"profile: {{url: 'file:{secret}'}}").conninfo()

    assert caught.value.what.startswith(str(secret))


@pytest.mark.parametrize(
    "text",
    [
        f"profile: {{url: 'postgresql://u:{PASSWORD}@host/db'}}",
        f"profile: {{url: postgresql://u:{PASSWORD}@host/db}}",
        f"profile: {{url: 'host=x password={PASSWORD}'}}",
        f"profile: postgresql://u:{PASSWORD}@host/db",
        f"profile: {{postgresql://u:{PASSWORD}@host/db}}",
        f"profile: [postgresql://u:{PASSWORD}@host/db]",
        f"postgresql://u:{PASSWORD}@host/db: {{}}",
        f"postgresql://u:{PASSWORD}@host/db",
        f"profile: {{url: env:X, role: {{password: {PASSWORD}}}}}",
        f"profile: {{url: 'env:postgresql://u:{PASSWORD}@host/db'}}",
        f"profile: {{url: file:{PASSWORD}}}",
        f"profile: {{url: *{PASSWORD}}}",
        f"profile: {{url: env:X, schema: 5, environment: [{PASSWORD}]}}",
    ],
)
def test_a_secret_written_into_the_file_is_refused_and_not_repeated(write: Write, text: str) -> None:
    error = refusal(write, text)

    assert PASSWORD not in str(error) + repr(error.problems)


def test_a_literal_url_is_refused_with_the_way_to_write_it(write: Write) -> None:
    (problem,) = refusal(write, "profile: {url: 'postgresql://u@host/db'}").problems

    assert placed(problem) == (
        "1:16: `url`: a url is written as env:NAME or file:/path;"
        " a connection URL itself would put a secret into the repository\n"
        "  why: Where the URL is kept: an environment variable or a file; never the URL itself:"
        " docs/language.md#databases\n"
        "  fix: write it e.g. as `url: env:PROFILE_DATABASE_URL`"
    )


def test_an_unknown_key_of_a_database_is_refused_with_the_nearest_one(write: Write) -> None:
    (problem,) = refusal(write, "profile: {url: env:X, shema: app}").problems

    assert placed(problem).startswith("1:23: unknown key `shema` in `profile`")
    assert "did you mean `schema`?" in placed(problem)


@pytest.mark.parametrize("name", ["Profile", "a-b", "1st", "''"])
def test_a_database_is_named_in_lower_case(write: Write, name: str) -> None:
    assert refusal(write, f"{name}: {{url: env:X}}").what.startswith("a database's name is lower-case letters")


def test_all_that_is_wrong_with_the_databases_is_reported(write: Write) -> None:
    error = refusal(write, "a: {}\nB: {url: env:X}\nc: {url: x}\nd: {url: env:X}\n")

    assert [placed(problem).split(": ")[0] for problem in error.problems] == ["1:1", "2:1", "3:10"]


def test_a_list_of_databases_is_refused(write: Write) -> None:
    assert refusal(write, "- profile\n").what == "a mapping of database names is wanted here"


def test_replicas_are_read_from_where_their_urls_are_kept(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    database = load_one(write, "profile: {url: env:X, role: migrator, replicas: [env:Y]}")
    monkeypatch.setenv("Y", "postgresql://u@replica/db")

    (replica,) = map(database.replica, database.replicas)

    assert (replica.conninfo(), replica.role) == ("postgresql://u@replica/db", "migrator")


def test_a_replica_is_no_url_itself_and_is_not_repeated(write: Write) -> None:
    error = refusal(write, f"profile: {{url: env:X, replicas: ['postgresql://u:{PASSWORD}@host/db']}}")

    assert "env:NAME or file:/path" in str(error)
    assert PASSWORD not in str(error)


def test_a_replica_is_named_once(write: Write) -> None:
    assert "named twice" in str(refusal(write, "profile: {url: env:X, replicas: [env:Y, env:Y]}"))


def test_columns_are_personal_by_their_name_in_the_databases_own_schema_or_with_another(write: Write) -> None:
    database = load_one(write, "p: {url: env:X, schema: app, personal: {columns: [users.email, audit.log.who]}}")

    assert database.is_personal("app", "users", "email")
    assert database.is_personal("audit", "log", "who")
    assert not database.is_personal("audit", "users", "email")
    assert not database.is_personal("app", "users", "id")


def test_without_a_word_no_column_is_personal(write: Write) -> None:
    assert not load_one(write, "profile: {url: env:X}").is_personal("public", "users", "email")


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("personal: {columns: [email]}", "a column is written as table.column or schema.table.column"),
        ("personal: {columns: []}", "`columns`"),
        ("personal: {columns: [users.email], keep_at_most: 30}", "a duration is a number with a unit"),
        ("classification: secret", "`classification`"),
    ],
)
def test_what_cannot_be_meant_of_rows_is_refused_at_its_place(write: Write, said: str, what: str) -> None:
    (problem,) = refusal(write, f"profile: {{url: env:X, {said}}}").problems

    assert what in problem.what
    assert problem.where is not None
    assert problem.where.line == 1
