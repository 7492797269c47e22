"""split_column: one column for the old version, several for the new one."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, full_name text NOT NULL, price text DEFAULT '0 NOK', note text);
CREATE INDEX by_name ON people (full_name);
INSERT INTO people VALUES (1, 'Ann  Lee', '12.50 USD', 'x'), (2, 'Bo', '3 NOK', NULL), (3, 'Cy De La Cruz', NULL, NULL)
"""
NAMES = """split_column:
      table: people
      column: full_name
      into:
        first: {type: text, up: "split_part(full_name, ' ', 1)", nullable: false, comment: given name}
        last: {type: text, up: "nullif(btrim(substr(full_name, strpos(full_name || ' ', ' '))), '')"}
      down: concat_ws(' ', first, last)"""
MONEY = """split_column:
      table: people
      column: price
      into:
        price:
          type: numeric(10,2)
          up: split_part(price, ' ', 1)::numeric
          default: 0
          check: price >= 0
        currency:
          type: text
          up: split_part(price, ' ', 2)
          default: "'NOK'"
      down: price || ' ' || currency"""


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(PEOPLE, NAMES, MONEY)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("    first ", "first text NOT NULL"),
        ("    last ", "last text"),
        ("    price ", "price numeric(10,2) DEFAULT 0"),
        ("    currency ", "currency text DEFAULT 'NOK'::text"),
        ("price_check", "CONSTRAINT people_price_check CHECK ((price >= (0)::numeric))"),
        ("COMMENT", "COMMENT ON COLUMN public.people.first IS 'given name'"),
    ],
)
def test_the_new_columns_are_what_they_shall_be(lived: Lived, word: str, line: str) -> None:
    assert lived.lines(word) == [line]


def test_every_value_is_split(lived: Lived) -> None:
    assert lived.scene.sql("SELECT first, last, price::text, currency FROM people ORDER BY id") == [
        ("Ann", "Lee", "12.50", "USD"),
        ("Bo", None, "3.00", "NOK"),
        ("Cy", "De La Cruz", None, None),
    ]


@pytest.fixture
def people(scene: Scene) -> Scene:
    scene.sql(PEOPLE)
    return scene


def test_a_write_of_one_new_column_keeps_the_others_of_a_row_that_is_not_filled_yet(people: Scene) -> None:
    spec(people, NAMES)
    people.up(through="expand")

    people.sql("UPDATE people SET last = 'Fox' WHERE id = 1")

    assert people.sql("SELECT full_name, first, last FROM people WHERE id = 1") == [("Ann Fox", "Ann", "Fox")]


def test_both_versions_see_what_the_other_one_writes(people: Scene) -> None:
    spec(people, NAMES)
    people.up(through="validate")

    people.sql("INSERT INTO people (id, full_name) VALUES (4, 'Di Ek')")
    people.sql("INSERT INTO people (id, first, last) VALUES (5, 'Ed', 'Fo')")
    people.sql("UPDATE people SET full_name = 'Bo Oak' WHERE id = 2")
    people.sql("UPDATE people SET last = 'Cruz' WHERE id = 3")

    assert people.sql("SELECT full_name, first, last FROM people WHERE id > 1 ORDER BY id") == [
        ("Bo Oak", "Bo", "Oak"),
        ("Cy Cruz", "Cy", "Cruz"),
        ("Di Ek", "Di", "Ek"),
        ("Ed Fo", "Ed", "Fo"),
    ]


def test_what_the_new_version_leaves_alone_stays_byte_for_byte(people: Scene) -> None:
    spec(people, NAMES)
    people.up(through="expand")

    people.sql("UPDATE people SET note = 'y'")
    people.up(through="retire")
    people.sql("UPDATE people SET note = 'z'")
    people.rollback()

    assert people.sql("SELECT full_name FROM people ORDER BY id") == [("Ann  Lee",), ("Bo",), ("Cy De La Cruz",)]


@pytest.mark.parametrize("leg", ["retire", "archive", "drop"])
def test_the_old_column_comes_back_with_what_was_written_since(people: Scene, leg: str) -> None:
    before = people.schema()
    spec(people, NAMES)
    people.up(through=leg)
    people.sql("INSERT INTO people (id, first, last) VALUES (5, 'Ed', 'Fo')")
    people.sql("UPDATE people SET last = 'Cruz' WHERE id = 3")

    assert people.rollback().ended == "undone"

    found = dict(people.sql("SELECT id, full_name FROM people"))
    assert found == {1: "Ann  Lee", 2: "Bo", 3: "Cy Cruz", 5: "Ed Fo"}
    assert people.own_objects() == []
    if leg != "drop":  # a column that was dropped comes back as the last one
        assert people.schema() == before


def test_a_value_that_cannot_be_split_is_in_conflict_and_its_statement_does_not_fail(people: Scene) -> None:
    spec(people, MONEY)
    people.up(through="expand")

    people.sql("INSERT INTO people (id, full_name, price) VALUES (4, 'Di', 'free')")

    with pytest.raises(StepRefused, match="1 rows in conflict"):
        people.up()
    people.sql("UPDATE people SET price = '1 NOK' WHERE id = 4")
    assert people.up().ended == "complete"


def test_the_old_name_holds_the_new_value_from_cutover_on(people: Scene) -> None:
    spec(people, MONEY)

    people.up(through="validate")
    assert people.one("SELECT price FROM people WHERE id = 1") == "12.50 USD"
    assert "currency" not in people.columns("people")

    people.up(through="cutover")
    people.sql("INSERT INTO people (id, full_name, price) VALUES (4, 'Di', 7)")
    assert people.sql("SELECT price::text, currency FROM people WHERE id IN (1, 4) ORDER BY id") == [
        ("12.50", "USD"),
        ("7.00", "NOK"),
    ]


def test_a_composite_rule_over_the_new_columns_comes_with_them(people: Scene) -> None:
    unique = "add_constraint: {table: people, name: named_once, unique: [first, last]}"
    index = "create_index: {table: people, name: by_last, columns: [last, first]}"
    spec(people, NAMES, unique, index)

    assert people.up().ended == "complete"

    assert "ADD CONSTRAINT named_once UNIQUE (first, last)" in people.schema()
    assert "CREATE INDEX by_last ON public.people USING btree (last, first)" in people.schema()
    assert people.own_objects() == []


def test_no_statement_fails_and_no_write_is_lost_while_both_versions_write(scene: Scene) -> None:
    scene.sql("CREATE TABLE people (id int PRIMARY KEY, full_name text NOT NULL, note text)")
    scene.sql("INSERT INTO people SELECT i, 'F' || i || ' L' || i FROM generate_series(1, 9000) AS i")
    spec(scene, NAMES, more="contract:\n  stages: [retire: {}]\n")
    scene.up(through="expand")
    written: dict[int, tuple[str, str]] = {}

    def old(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        key, name = dice.randrange(1, 4500), (f"O{dice.randrange(99)}", f"P{dice.randrange(99)}")
        app.execute("UPDATE people SET full_name = %s WHERE id = %s", (" ".join(name), key))
        written[key] = name

    def new(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        key, name = dice.randrange(4500, 9000), (f"N{dice.randrange(99)}", f"M{dice.randrange(99)}")
        app.execute("UPDATE people SET first = %s, last = %s WHERE id = %s", (*name, key))
        written[key] = name

    with Writers(scene.connect, old, new) as clients:
        scene.up(through="validate")

    assert clients.failures == []
    assert scene.up().ended == "complete"
    found = {key: (first, last) for key, first, last in scene.sql("SELECT id, first, last FROM people")}
    assert found == {key: written.get(key, (f"F{key}", f"L{key}")) for key in range(1, 9001)}


@pytest.mark.parametrize("point", ["after commit", "before step"])
def test_a_runner_killed_again_and_again_ends_as_an_undisturbed_one(people: Scene, point: str) -> None:
    spec(people, NAMES, MONEY)

    assert run_until_complete(people, [f"{point}:{count}" for count in (1, 2, 3, 5, 8)]) >= 2

    assert people.sql("SELECT first, last, price::text, currency FROM people ORDER BY id") == [
        ("Ann", "Lee", "12.50", "USD"),
        ("Bo", None, "3.00", "NOK"),
        ("Cy", "De La Cruz", None, None),
    ]
    assert people.own_objects() == []


def test_what_goes_with_the_column_is_told(people: Scene) -> None:
    people.sql("ALTER TABLE people ADD UNIQUE (full_name)")
    spec(people, NAMES)

    hazards = {hazard.code: hazard.what for hazard in people.runner().plan(people.migration()).hazards}

    assert hazards["goes-with-column"].startswith("index by_name of public.people goes with full_name")
    assert hazards["old-rule-binds-new"].startswith("rule people_full_name_key of public.people binds")


@pytest.mark.parametrize(
    ("change", "said", "at"),
    [
        (
            NAMES.replace("first:", "note:").replace("first,", "note,"),
            "column note exists already in public.people",
            '{type: text, up: "split_part',
        ),
        (NAMES.replace("column: full_name", "column: fullname"), "column fullname does not exist", "fullname"),
        (NAMES.replace('type: text, up: "nullif', 'type: txt, up: "nullif'), "type txt", "txt"),
        (NAMES.replace("concat_ws(' ', first, last)", "full_name"), "`full_name`: column", "full_name"),
        (NAMES.replace("concat_ws(' ', first, last)", "concat_ws(' ', first, lost)"), "`concat_ws", "concat_ws"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused_where_it_says_so(
    people: Scene, change: str, said: str, at: str
) -> None:
    (problem,) = refusal(people, change)

    assert problem.what.startswith(said)
    assert problem.where is not None
    line = (people.root / "migration_specs" / "m.yaml").read_text().splitlines()[(problem.where.line or 1) - 1]
    assert at in line[(problem.where.column or 1) - 1 :]


def test_a_foreign_key_column_is_not_split(people: Scene) -> None:
    people.sql("CREATE TABLE prices (price text PRIMARY KEY)")
    people.sql("ALTER TABLE people ADD FOREIGN KEY (price) REFERENCES prices NOT VALID")

    (problem,) = refusal(people, MONEY)

    assert problem.what == "price is bound to public.prices by people_price_fkey"
