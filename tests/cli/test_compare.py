"""crossfade compare: 0 the same, 1 they differ, 2 they cannot be compared so."""

from __future__ import annotations

import json
import signal
import time

import pytest
from tests.cli.calls import Call
from tests.scene import Scene

BOTH = ("compare", "app.users", "app.people")


@pytest.fixture
def filled(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, email text)")
    scene.sql("INSERT INTO users VALUES (1, 'ann@example.com'), (2, 'bob@example.com')")
    scene.sql("CREATE TABLE people (id bigint PRIMARY KEY, mail text)")
    scene.sql("INSERT INTO people TABLE users")
    return scene


def test_the_same_rows_end_with_0(filled: Scene, call: Call) -> None:
    result = call(*BOTH, "--map-b", "email=mail")

    assert (result.exit_code, result.stdout) == (0, "app.users and app.people: 2 rows, the same on both sides\n")


def test_rows_that_differ_are_listed_by_key_and_end_with_1(filled: Scene, call: Call) -> None:
    filled.sql("UPDATE people SET mail = 'x' WHERE id = 1")
    filled.sql("INSERT INTO users VALUES (77, 'eve@example.com')")

    result = call(*BOTH, "--map-b", "email=mail")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "differs: id = 1",
        "missing in app.people: id = 77",
        "app.users and app.people: 2 rows not the same: 1 differ, 1 missing in app.people",
    ]
    assert "example.com" not in result.output


def test_keys_are_left_out_where_they_are_personal(filled: Scene, call: Call) -> None:
    filled.sql("DELETE FROM people WHERE id = 2")

    plain, data = (call(*BOTH, "--map-b", "email=mail", "--no-keys", *more) for more in ([], ["--json"]))

    assert plain.stdout == "app.users and app.people: 1 row not the same: 1 missing in app.people\n"
    assert "differences" not in json.loads(data.stdout)


@pytest.mark.parametrize("mapped", [[], ["--map-b", "id=(people.id + 0)"]])
def test_a_key_that_is_personal_is_never_shown(filled: Scene, call: Call, mapped: list[str]) -> None:
    filled.sql("DELETE FROM people WHERE id = 2")
    path = filled.root / "databases.yaml"
    path.write_text(path.read_text().replace("APP_URL", "APP_URL, personal: {columns: [people.id]}"))

    shown = call(*BOTH, "--map-b", "email=mail", *mapped)

    assert shown.stdout == "app.users and app.people: 1 row not the same: 1 missing in app.people\n"


def test_json_has_the_counts_and_the_keys(filled: Scene, call: Call) -> None:
    filled.sql("DELETE FROM people WHERE id = 2")

    result = call(*BOTH, "--map-b", "email=mail", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "equal": False,
        "a": {"name": "app.users", "rows": 2},
        "b": {"name": "app.people", "rows": 1},
        "columns": ["id", "email"],
        "key": ["id"],
        "found": {"differs": 0, "missing_in_a": 0, "missing_in_b": 1},
        "more": False,
        "settled": 0,
        "notes": [],
        "differences": [{"key": {"id": "2"}, "kind": "missing_in_b"}],
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (BOTH, "app.people has no column email"),
        (("compare", "users", "app.people"), "users: a database and a table are wanted"),
        (("compare", "shop.users", "app.people"), "`shop` is no database of this project"),
        ((*BOTH, "--map-b", "mail"), "--map-b mail: a column and its SQL are wanted"),
        ((*BOTH, "--map-b", "email=lower("), "--map-b lower(: "),
        ((*BOTH, "--where-a", "a; b"), "--where-a a; b: "),
        ((*BOTH, "--settle", "soon"), "--settle soon: a duration is a number with a unit"),
    ],
)
def test_what_cannot_be_compared_ends_with_2(filled: Scene, call: Call, arguments: tuple[str, ...], words: str) -> None:
    result = call(*arguments)

    assert (result.exit_code, words in " ".join(result.stderr.split())) == (2, True), result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_leaves_no_statement_behind(filled: Scene, call: Call, sent: signal.Signals) -> None:
    filled.sql("CREATE VIEW slow AS SELECT id, mail AS email FROM people WHERE pg_sleep(3600) IS NOT NULL")
    at_work = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'crossfade compare' AND state = 'active' AND query LIKE '%bucket%'"
    )
    process = call.begin("compare", "app.slow", "app.slow", "--key", "id")
    while filled.one(at_work) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)

    process.send_signal(sent)
    process.communicate()

    while filled.one(at_work):
        time.sleep(0.02)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent]
