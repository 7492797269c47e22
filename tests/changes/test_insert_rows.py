"""insert_rows: every row once, whatever happens meanwhile, and taken back where nobody has touched it."""

from __future__ import annotations

import pytest
from tests.changes.life import rows, spec
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.scene import Scene

from crossfade.execute import ExecutionFailed

SCHEMA = """
CREATE TABLE roles (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, rights jsonb, level int);
INSERT INTO roles (name) VALUES ('reader');
CREATE TABLE users (id int PRIMARY KEY, tags text[], phone text);
INSERT INTO users SELECT i, CASE WHEN i % 3 > 0 THEN ARRAY['a', 'b' || i] END, CASE WHEN i % 2 = 0 THEN '0' || i END
  FROM generate_series(1, 60) AS i;
CREATE TABLE contacts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int REFERENCES users, phone text,
  made timestamptz DEFAULT now());
CREATE INDEX ON contacts (user_id);
CREATE TABLE calls (contact bigint REFERENCES contacts);
CREATE INDEX ON calls (contact)"""
CONTACTS = "insert_rows: {table: contacts, from: users, values: {user_id: id, phone: phone}, where: phone IS NOT NULL}"
ROLES = """insert_rows:
      table: roles
      rows:
        - {name: "it's 100% {new}", rights: {write: [1, true]}, level: 3}
        - {name: null, level: -1}
        - {name: reader, level: 5}"""


@pytest.fixture
def shop(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    return scene


def test_rows_are_inserted_as_they_are_said_and_existing_ones_stay(shop: Scene) -> None:
    before = rows(shop)
    spec(shop, ROLES + "\n      existing: keep")

    assert shop.up().ended == "complete"
    assert shop.sql("SELECT name, rights, level FROM roles ORDER BY id") == [
        ("reader", None, None),
        ("it's 100% {new}", {"write": [1, True]}, 3),
        (None, None, -1),
    ]

    shop.rollback()
    assert rows(shop) == before


def test_a_row_that_is_there_stops_it_unless_the_spec_says_so(shop: Scene) -> None:
    before = rows(shop)
    spec(shop, ROLES)

    with pytest.raises(ExecutionFailed, match="roles_name_key"):
        shop.up()

    assert rows(shop) == before


def test_each_row_of_another_table_gives_one_with_an_id_of_its_own(shop: Scene) -> None:
    spec(shop, CONTACTS)

    shop.up()

    assert shop.sql("SELECT user_id, phone FROM contacts ORDER BY user_id") == [(i, f"0{i}") for i in range(2, 61, 2)]
    assert shop.one("SELECT count(DISTINCT id) FROM contacts WHERE made IS NOT NULL") == 30


def test_each_element_of_an_array_gives_a_row(shop: Scene) -> None:
    where = "each <> 'b1'"
    spec(
        shop,
        f"insert_rows: {{table: contacts, from: users, each: unnest(tags), values: {{user_id: id, phone: each}},"
        f' where: "{where}"}}',
    )

    shop.up()

    wanted = [(i, tag) for i in range(1, 61) if i % 3 for tag in ("a", f"b{i}") if tag != "b1"]
    assert shop.sql("SELECT user_id, phone FROM contacts ORDER BY user_id, phone") == wanted


def test_undo_deletes_what_was_inserted_and_nobody_has_touched_since(shop: Scene) -> None:
    shop.sql("INSERT INTO contacts (user_id, phone) VALUES (1, 'mine')")
    spec(shop, CONTACTS)
    shop.up()
    shop.sql(
        "UPDATE contacts SET phone = 'new' WHERE user_id = 2; INSERT INTO calls SELECT id FROM contacts WHERE"
        " user_id = 4; INSERT INTO contacts (user_id, phone) VALUES (6, '06')"
    )

    shop.rollback()

    assert shop.sql("SELECT user_id, phone FROM contacts ORDER BY user_id") == [
        (1, "mine"),
        (2, "new"),
        (4, "04"),
        (6, "06"),
    ]


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_killed_at_any_commit_and_run_again_no_row_comes_twice(shop: Scene, point: str) -> None:
    before = shop.schema(), rows(shop)
    spec(shop, CONTACTS)

    kills = run_until_complete(shop, [f"{point}:{count}" for count in (6, 4)])
    assert shop.one("SELECT count(*) FROM contacts") == 30
    kills += run_until_complete(shop, [f"{point}:4"], act="rollback")

    assert kills >= 2
    assert (shop.schema(), rows(shop)) == before


def test_user_triggers_are_silent_only_where_no_foreign_key_needs_them(shop: Scene) -> None:
    shop.sql(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;"
        "CREATE TRIGGER noted BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION nothing();"
        "CREATE TRIGGER noted BEFORE INSERT ON roles FOR EACH ROW EXECUTE FUNCTION nothing()"
    )

    (problem,) = refusal(shop, CONTACTS)
    assert problem.what.startswith("public.contacts has a foreign key contacts_user_id_fkey")

    spec(shop, ROLES + "\n      existing: keep")
    assert shop.up().ended == "complete"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("insert_rows: {table: calls, rows: [{contact: 1}]}", "public.calls has no primary key"),
        ("insert_rows: {table: users, from: users, values: {id: id + 100}}", "public.users is to give rows to itself"),
        ("insert_rows: {table: users, from: calls, values: {id: contact}}", "public.calls has no primary key"),
        ("insert_rows: {table: users, rows: [{nme: x}]}", "column nme does not exist"),
        ("insert_rows: {table: users, from: roles, values: {id: name}}", "value of id gives text"),
    ],
)
def test_what_could_not_be_done_once_or_taken_back_is_refused_when_planning(
    shop: Scene, change: str, what: str
) -> None:
    (problem,) = refusal(shop, change)

    assert problem.what.startswith(what)


def test_a_table_of_the_same_migration_gets_its_rows(scene: Scene) -> None:
    spec(
        scene,
        "create_table: {table: roles, columns: [{name: id, type: int}, {name: name, type: text}], primary_key: [id]}",
        "insert_rows: {table: roles, rows: [{id: 1, name: reader}]}",
    )

    assert scene.up().ended == "complete"

    assert scene.sql("SELECT id, name FROM roles") == [(1, "reader")]
