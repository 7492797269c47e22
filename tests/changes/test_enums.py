"""create_enum, add_enum_value, rename_enum_value and drop_type; and columns that become an enum and back."""

from __future__ import annotations

import psycopg
import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.scene import Scene

MOOD = "CREATE TYPE mood AS ENUM ('sad', 'it''s', 'happy')"
ITEMS = f"""{MOOD};
CREATE TABLE items (id int PRIMARY KEY, felt mood DEFAULT 'sad' CHECK (felt <> 'it''s'));
INSERT INTO items VALUES (1, 'sad'), (2, 'happy'), (3, NULL)"""
VALUES = "SELECT enum_range(NULL::mood)::text"


def test_an_enum_is_made_with_its_words_in_order_and_its_comment(scene: Scene) -> None:
    lived = whole_way(scene, "SELECT 1", 'create_enum: {enum: mood, values: [sad, "it\'s", happy], comment: how it is}')

    assert scene.one(VALUES) == "{sad,it's,happy}"
    assert lived.lines("COMMENT ON TYPE") == ["COMMENT ON TYPE public.mood IS 'how it is'"]


def test_a_word_is_added_where_it_is_said_and_can_be_used_after_expand(scene: Scene) -> None:
    scene.sql(ITEMS)
    spec(
        scene,
        "add_enum_value: {enum: mood, value: so-so, before: happy}",
        "add_enum_value: {enum: mood, value: glad, after: happy}",
        "add_enum_value: {enum: mood, value: last}",
    )

    scene.up(through="expand")
    scene.sql("INSERT INTO items VALUES (4, 'glad')")
    assert scene.up().ended == "complete"

    assert scene.one(VALUES) == "{sad,it's,so-so,happy,glad,last}"


def test_a_word_stays_after_a_rollback_and_is_no_obstacle_to_beginning_again(scene: Scene) -> None:
    scene.sql(ITEMS)
    spec(scene, "add_enum_value: {enum: mood, value: glad}")
    scene.up(through="validate")

    assert scene.rollback().ended == "undone"
    assert scene.one(VALUES) == "{sad,it's,happy,glad}"
    assert scene.up().ended == "complete"


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_a_runner_that_is_killed_adds_the_word_once(scene: Scene, point: str) -> None:
    scene.sql(ITEMS)
    spec(scene, "add_enum_value: {enum: mood, value: glad}", "add_enum_value: {enum: mood, value: so-so}")

    assert run_until_complete(scene, [f"{point}:{count}" for count in (6, 7, 8)]) >= 1

    assert scene.one(VALUES) == "{sad,it's,happy,glad,so-so}"


def test_a_word_is_changed_in_all_rows_and_rules_at_once_and_back(scene: Scene) -> None:
    scene.sql(ITEMS)
    spec(scene, 'rename_enum_value: {enum: mood, from: "it\'s", to: fine, old_writers: fail}')
    before = scene.schema()

    scene.up(through="validate")
    assert scene.schema() == before
    scene.up(through="cutover")
    assert "felt <> 'fine'::public.mood" in scene.schema()
    scene.rollback()
    assert scene.schema() == before

    assert scene.up().ended == "complete"
    assert scene.one(VALUES) == "{sad,fine,happy}"


def test_a_word_of_an_enum_that_no_column_has_is_changed_in_expand(scene: Scene) -> None:
    whole_way(scene, MOOD, "rename_enum_value: {enum: mood, from: sad, to: blue}")

    assert scene.one(VALUES) == "{blue,it's,happy}"


def test_a_word_that_columns_hold_is_not_changed_without_a_say_so(scene: Scene) -> None:
    scene.sql(ITEMS)

    (problem,) = refusal(scene, "rename_enum_value: {enum: mood, from: sad, to: blue}")

    assert problem.what == "public.items.felt is of public.mood, which can hold one word for a value, not two"
    assert "old_writers: fail" in (problem.fix or "")


def test_a_function_that_has_the_old_word_is_told(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.sql("CREATE FUNCTION f() RETURNS mood LANGUAGE plpgsql AS $$ BEGIN RETURN 'sad'; END $$")
    spec(scene, "rename_enum_value: {enum: mood, from: sad, to: blue, old_writers: fail}")

    hazards = {h.code: h.what for h in scene.runner().plan(scene.migration()).hazards}

    assert "public.f()" in hazards["function-body"]
    assert "from cutover on" in hazards["one-word"]


@pytest.mark.parametrize(
    ("change", "what", "fix"),
    [
        ("create_enum: {enum: items, values: [a]}", "public.items exists already", "another name"),
        ("create_enum: {enum: nowhere.mood, values: [a]}", "schema nowhere does not exist", "create the schema"),
        ("add_enum_value: {enum: moods, value: a}", "enum public.moods does not exist", "did you mean `mood`?"),
        ("add_enum_value: {enum: mood, value: a, after: hapy}", "has no value hapy", "did you mean `happy`?"),
        ("rename_enum_value: {enum: mood, from: sad, to: happy}", "has the value happy already", "drop_enum_value"),
        ("drop_type: {type: mood}", "is used by", "change or drop it first"),
        ("drop_type: {type: moody}", "moody does not exist", "did you mean `mood`?"),
    ],
)
def test_what_cannot_be_is_refused(scene: Scene, change: str, what: str, fix: str) -> None:
    scene.sql(ITEMS)

    (problem,) = refusal(scene, change)

    assert what in problem.what
    assert fix in (problem.fix or "")


DROPPED = f"""{MOOD};
COMMENT ON TYPE mood IS 'how it is';
REVOKE USAGE ON TYPE mood FROM PUBLIC;
CREATE DOMAIN short AS varchar(9) DEFAULT 'x' NOT NULL CONSTRAINT not_b CHECK (VALUE <> 'b');
ALTER DOMAIN short ADD CONSTRAINT not_a CHECK (VALUE <> 'a') NOT VALID;
GRANT USAGE ON TYPE short TO pg_monitor; COMMENT ON CONSTRAINT not_b ON DOMAIN short IS 'no b';
CREATE TYPE money_amount AS ("Amount" numeric(12,2), currency text)"""


def test_types_that_nothing_uses_are_dropped_and_come_back_as_they_were(scene: Scene) -> None:
    scene.sql(DROPPED)
    spec(scene, "drop_type: {type: mood}", "drop_type: {type: short}", "drop_type: {type: money_amount}")
    before = scene.schema()

    assert scene.up().ended == "complete"
    assert scene.one("SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace") == 0
    assert scene.rollback().ended == "undone"

    assert scene.schema() == before


def test_a_type_goes_with_the_table_that_used_it(scene: Scene) -> None:
    scene.sql(ITEMS)
    more = "contract:\n  stages: [retire: {}, drop: {}]\n"
    spec(scene, "drop_table: {table: items}", "drop_type: {type: mood}", more=more)

    assert scene.up().ended == "complete"

    assert scene.one("SELECT to_regtype('mood') IS NULL")


def test_types_are_made_and_used_by_columns_of_one_migration(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, felt text); INSERT INTO items VALUES (1, 'sad'), (2, NULL)")
    before = scene.schema()
    spec(
        scene,
        'create_enum: {enum: mood, values: [sad, "it\'s", happy]}',
        "create_domain: {domain: short, type: text, checks: {fits: length(VALUE) < 9}}",
        "create_type: {type: pair, attributes: [{name: a, type: mood}]}",
        "create_table: {table: moods, columns: [{name: m, type: mood, default: \"'sad'\"}, {name: s, type: short}]}",
        "add_column: {table: items, column: mood, type: mood, up: felt::mood, down: {felt: mood::text}}",
        "add_column: {table: items, column: moods, type: 'mood[]', default: \"'{happy}'\"}",
        "add_column: {table: items, column: pair, type: pair}",
        more="gates: {validate: [sql: \"SELECT count(*) = 1 FROM items WHERE mood = 'sad'\"]}",
    )

    assert scene.up(through="validate").ended == "reached"
    assert scene.rollback().ended == "undone"
    assert scene.schema() == before
    assert scene.up().ended == "complete"

    assert scene.sql("SELECT mood::text, moods::text FROM items ORDER BY id") == [("sad", "{happy}"), (None, "{happy}")]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("add_column: {table: items, column: f, type: mood, default: \"'mad'\"}", "invalid input value for enum mood"),
        ("add_column: {table: items, column: f, type: short}", "type public.short is a domain with rules"),
        ("drop_enum_value: {enum: mood, value: sad}", "public.mood is made by this migration"),
    ],
)
def test_what_a_type_of_the_same_migration_cannot_is_refused(scene: Scene, change: str, what: str) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    made = "create_enum: {enum: mood, values: [sad, happy]}"
    domain = "create_domain: {domain: short, type: text, checks: {fits: length(VALUE) < 9}}"

    (problem,) = refusal(scene, made, domain, change)

    assert what in problem.what


def test_a_text_column_becomes_an_enum_and_a_value_that_it_has_not_holds_it_up(scene: Scene) -> None:
    scene.sql(
        f"{MOOD}; CREATE TABLE items (id int PRIMARY KEY, felt text); INSERT INTO items VALUES (1, 'sad'), (2, 'x')"
    )
    spec(scene, "change_column: {table: items, column: felt, to: {type: mood}}")

    with pytest.raises(Exception, match="conflict"):
        scene.up()
    scene.sql("UPDATE items SET felt = 'happy' WHERE id = 2")
    assert scene.up().ended == "complete"

    assert scene.sql("SELECT id, felt::text FROM items ORDER BY id") == [(1, "sad"), (2, "happy")]
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        scene.sql("INSERT INTO items VALUES (3, 'x')")


def test_an_enum_column_becomes_text_and_its_values_stay(scene: Scene) -> None:
    scene.sql(f"{MOOD}; CREATE TABLE items (id int PRIMARY KEY, felt mood DEFAULT 'sad'); INSERT INTO items VALUES (1)")
    spec(scene, "change_column: {table: items, column: felt, to: {type: text, default: \"'sad'\"}}")
    before = scene.schema()

    scene.up(through="cutover")
    scene.sql("INSERT INTO items VALUES (2)")
    scene.rollback()
    assert scene.schema() == before
    assert scene.up().ended == "complete"

    assert scene.sql("SELECT id, felt FROM items ORDER BY id") == [(1, "sad"), (2, "sad")]


def test_a_column_of_a_domain_becomes_one_of_its_base_type_and_of_a_plain_domain(scene: Scene) -> None:
    scene.sql(
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN plain AS int;"
        "CREATE TABLE items (id int PRIMARY KEY, n positive); INSERT INTO items VALUES (1, 1)"
    )
    scene.spec("changes: [change_column: {table: items, column: n, to: {type: int}}]\n", id="one")
    scene.spec("after: [one]\nchanges: [change_column: {table: items, column: n, to: {type: plain}}]\n", id="two")

    assert scene.up(id="one").ended == "complete"
    scene.sql("INSERT INTO items VALUES (2, -1)")
    assert scene.up(id="two").ended == "complete"

    assert scene.sql("SELECT n, pg_typeof(n)::text FROM items ORDER BY 1") == [(-1, "plain"), (1, "plain")]


def test_the_default_of_a_column_that_becomes_text_holds_on_to_the_enum_no_more(scene: Scene) -> None:
    scene.sql(f"{MOOD}; CREATE TABLE items (id int PRIMARY KEY, felt mood NOT NULL DEFAULT 'sad')")
    spec(scene, "change_column: {table: items, column: felt, to: {type: text}}")

    assert scene.up().ended == "complete"

    assert "felt text DEFAULT 'sad'::text NOT NULL" in scene.schema()
