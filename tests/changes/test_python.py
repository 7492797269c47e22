"""python: rows set by a function of the spec's folder, with the guarantees of update_rows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.changes.life import rows, spec
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.scene import Scene

from crossfade.execute import ExecutionFailed, SpecEdited, StepRefused

SCHEMA = """
CREATE TABLE people (id int PRIMARY KEY, name text, born date, score numeric, tags text[], data jsonb, n int);
INSERT INTO people SELECT i, 'Name ' || i, date '2000-01-01' + i, i / 4.0, ARRAY['a', 'b'], '{"k": [1]}', i
  FROM generate_series(1, 300) AS i;
INSERT INTO people (id) VALUES (301)"""
CHANGE = "python: {table: people, file: change.py, reads: [name], sets: [name]}"
REVERSE = "def change(rows):\n    return [{'name': row['name'] and row['name'][::-1]} for row in rows]\n"


@pytest.fixture
def people(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    write(scene, REVERSE)
    return scene


def write(scene: Scene, text: str) -> None:
    (scene.root / "migration_specs" / "change.py").write_text(text)


def test_rows_are_set_to_what_the_function_gives_and_back_to_what_they_were(people: Scene) -> None:
    before = people.schema(), rows(people)
    spec(people, CHANGE)

    assert people.up().ended == "complete"
    assert people.sql("SELECT name FROM people WHERE id IN (12, 301) ORDER BY id") == [("21 emaN",), (None,)]

    people.rollback()
    assert (people.schema(), rows(people)) == before


def test_values_of_any_type_go_in_and_out_and_the_key_is_handed_over(people: Scene) -> None:
    write(
        people,
        "from datetime import timedelta\ndef f(rows):\n    return [{'born': r['born'] + timedelta(days=r['id']),"
        " 'score': r['score'] * 2, 'tags': r['tags'] + ['%s {}'], 'data': {'k': [r['data'], None], 's': \"it's\"}}"
        " for r in rows]\n",
    )
    both = "[born, score, tags, data]"
    spec(people, f"python: {{table: people, file: change.py, function: f, reads: {both}, sets: {both}, where: id = 4}}")

    people.up()

    assert people.sql("SELECT born, score, tags, data FROM people WHERE id = 4") == [
        (date(2000, 1, 9), Decimal(2), ["a", "b", "%s {}"], {"k": [{"k": [1]}, None], "s": "it's"})
    ]
    assert people.one("SELECT count(*) FROM people WHERE tags = ARRAY['a', 'b']") == 299


def test_what_the_function_raises_is_told_without_its_words(people: Scene) -> None:
    write(people, "def change(rows):\n    for row in rows:\n        raise ValueError(row['name'])\n")
    before = rows(people)
    spec(people, CHANGE)

    with pytest.raises(ExecutionFailed) as caught:
        people.up()

    assert caught.value.what == "change of migration_specs/change.py raised ValueError in line 3"
    assert "Name" not in str(caught.value)
    assert rows(people) == before


@pytest.mark.parametrize(
    ("answer", "what"),
    [("[]", "gave no list of as many rows"), ("[{'n': 1} for _ in rows]", "gave a row that is no dict of just name")],
)
def test_an_answer_that_does_not_fit_the_rows_writes_nothing(people: Scene, answer: str, what: str) -> None:
    write(people, f"def change(rows):\n    return {answer}\n")
    before = rows(people)
    spec(people, CHANGE)

    with pytest.raises(ExecutionFailed, match=what):
        people.up()

    assert rows(people) == before


def test_a_value_that_the_server_refuses_makes_its_row_a_conflict(people: Scene) -> None:
    people.sql("ALTER TABLE people ADD CHECK (n <> -7)")
    write(people, "def change(rows):\n    return [{'n': -row['id']} for row in rows]\n")
    spec(people, "python: {table: people, file: change.py, sets: [n]}")

    with pytest.raises(StepRefused, match=r"^1 rows that could not be set"):
        people.up()

    assert people.one("SELECT count(*) FROM people WHERE n = -id") == 300
    assert [conflict.key for conflict in people.ledger().conflicts("m")] == [{"id": 7}]


def test_a_file_that_was_edited_after_the_start_is_refused_with_the_difference(people: Scene) -> None:
    spec(people, CHANGE, "create_index: {table: people, name: people_n, columns: [n]}")
    people.up(through="backfill")
    write(people, REVERSE.replace("::-1", "::2"))

    with pytest.raises(SpecEdited) as caught:
        people.up()

    assert "[::2]" in str(caught.value)
    people.rollback()
    assert people.one("SELECT name FROM people WHERE id = 1") == "Name 1"


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_killed_at_any_commit_and_run_again_each_row_is_set_once(people: Scene, point: str) -> None:
    before = rows(people)
    spec(people, CHANGE)

    kills = run_until_complete(people, [f"{point}:{count}" for count in (6, 3)])
    assert people.one("SELECT count(*) FROM people WHERE name = reverse('Name ' || id)") == 300
    run_until_complete(people, [f"{point}:3"], act="rollback")

    assert kills >= 1
    assert rows(people) == before


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("def other(rows):\n    return rows\n", "change.py has no function change"),
        ("def change(rows:\n", "change.py is not Python"),
        (None, "change.py cannot be read: FileNotFoundError"),
    ],
)
def test_a_file_without_the_function_is_refused_when_planning(people: Scene, text: str | None, what: str) -> None:
    if text is None:
        (people.root / "migration_specs" / "change.py").unlink()
    else:
        write(people, text)

    (problem,) = refusal(people, CHANGE)

    assert problem.what.startswith(what)
