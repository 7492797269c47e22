"""merge_columns: several columns for the old version, one for the new one."""

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

from crossfade.spec import SpecError

USERS = """
CREATE TABLE users (
  id int PRIMARY KEY,
  is_admin boolean NOT NULL DEFAULT false,
  is_editor boolean NOT NULL DEFAULT false,
  street text,
  number int CHECK (number > 0),
  note text);
CREATE INDEX by_flags ON users (is_admin, is_editor);
INSERT INTO users VALUES
  (1, true, true, 'Elm', 1, 'x'), (2, false, true, NULL, NULL, NULL), (3, false, false, 'Oak', 7, NULL)
"""
ROLE = """merge_columns:
      table: users
      columns: [is_admin, is_editor]
      into:
        role:
          type: text
          up: CASE WHEN is_admin THEN 'admin' WHEN is_editor THEN 'editor' ELSE 'reader' END
          nullable: false
          default: "'reader'"
          check: role IN ('admin', 'editor', 'reader')
      down: {is_admin: role = 'admin', is_editor: "role IN ('admin', 'editor')"}"""
STREET = """merge_columns:
      table: users
      columns: [street, number]
      into: {street: {type: text, up: "street || ' ' || number"}}
      down: {street: "split_part(street, ' ', 1)", number: "split_part(street, ' ', 2)::int"}"""


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(USERS, ROLE, STREET)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("    role ", "role text DEFAULT 'reader'::text NOT NULL"),
        ("    street ", "street text"),
        (
            "users_role_check",
            "CONSTRAINT users_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'editor'::text, 'reader'::text])))",
        ),
    ],
)
def test_the_new_column_is_what_it_shall_be(lived: Lived, word: str, line: str) -> None:
    assert lived.lines(word) == [line]


def test_every_row_is_merged_and_the_old_columns_are_gone(lived: Lived) -> None:
    assert lived.scene.sql("SELECT role, street FROM users ORDER BY id") == [
        ("admin", "Elm 1"),
        ("editor", None),
        ("reader", "Oak 7"),
    ]
    assert sorted(lived.scene.columns("users")) == ["id", "note", "role", "street"]


@pytest.fixture
def users(scene: Scene) -> Scene:
    scene.sql(USERS)
    return scene


def test_both_versions_see_what_the_other_one_writes(users: Scene) -> None:
    spec(users, ROLE)
    users.up(through="validate")

    users.sql("INSERT INTO users (id, is_editor) VALUES (4, true)")
    users.sql("INSERT INTO users (id, role) VALUES (5, 'admin')")
    users.sql("INSERT INTO users (id) VALUES (6)")
    users.sql("UPDATE users SET is_admin = false WHERE id = 1")
    users.sql("UPDATE users SET role = 'admin' WHERE id = 3")

    assert users.sql("SELECT id, is_admin, is_editor, role FROM users ORDER BY id") == [
        (1, False, True, "editor"),
        (2, False, True, "editor"),
        (3, True, True, "admin"),
        (4, False, True, "editor"),
        (5, True, True, "admin"),
        (6, False, False, "reader"),
    ]


def test_what_the_new_version_leaves_alone_stays_byte_for_byte(users: Scene) -> None:
    users.sql("UPDATE users SET is_editor = false WHERE id = 1")  # `down` would make it true
    spec(users, ROLE)
    users.up(through="expand")

    users.sql("UPDATE users SET note = 'y'")
    users.up(through="retire")
    users.sql("UPDATE users SET note = 'z'")
    users.rollback()

    assert users.sql("SELECT is_admin, is_editor FROM users WHERE id = 1") == [(True, False)]


@pytest.mark.parametrize("leg", ["retire", "archive", "drop"])
def test_the_old_columns_come_back_with_what_was_written_since(users: Scene, leg: str) -> None:
    before = users.schema()
    spec(users, ROLE)
    users.up(through=leg)
    users.sql("INSERT INTO users (id, role) VALUES (4, 'editor')")
    users.sql("UPDATE users SET role = 'admin' WHERE id = 3")

    assert users.rollback().ended == "undone"

    assert users.sql("SELECT is_admin, is_editor FROM users ORDER BY id") == [
        (True, True),
        (False, True),
        (True, True),
        (False, True),
    ]
    assert users.own_objects() == []
    if leg != "drop":  # columns that were dropped come back as the last ones
        assert users.schema() == before


def test_no_statement_fails_and_no_write_is_lost_while_both_versions_write(scene: Scene) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, is_admin bool NOT NULL, is_editor bool NOT NULL, note text)")
    scene.sql("INSERT INTO users SELECT i, i % 3 = 0, i % 2 = 0 FROM generate_series(1, 9000) AS i")
    spec(scene, ROLE, more="contract:\n  stages: [retire: {}]\n")
    scene.up(through="expand")
    written: dict[int, str] = {}

    def old(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        key, admin = dice.randrange(1, 4500), dice.random() < 0.5
        app.execute("UPDATE users SET is_admin = %s, is_editor = true WHERE id = %s", (admin, key))
        written[key] = "admin" if admin else "editor"

    def new(app: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        key, role = dice.randrange(4500, 9000), dice.choice(("admin", "editor", "reader"))
        app.execute("UPDATE users SET role = %s WHERE id = %s", (role, key))
        written[key] = role

    with Writers(scene.connect, old, new) as clients:
        scene.up(through="validate")

    assert clients.failures == []
    assert scene.up().ended == "complete"
    before = {i: "admin" if i % 3 == 0 else "editor" if i % 2 == 0 else "reader" for i in range(1, 9001)}
    assert dict(scene.sql("SELECT id, role FROM users")) == before | written


@pytest.mark.parametrize("point", ["after commit", "before step"])
def test_a_runner_killed_again_and_again_ends_as_an_undisturbed_one(users: Scene, point: str) -> None:
    spec(users, ROLE, STREET)

    assert run_until_complete(users, [f"{point}:{count}" for count in (1, 2, 3, 5, 8)]) >= 2

    assert users.sql("SELECT role, street FROM users ORDER BY id") == [
        ("admin", "Elm 1"),
        ("editor", None),
        ("reader", "Oak 7"),
    ]
    assert users.own_objects() == []


@pytest.mark.parametrize(
    ("down", "said"),
    [
        ("{is_admin: role = 'admin'}", "`down` must say how is_editor is made"),
        ("{is_admin: role = 'admin', is_editor: true, note: role}", "`down` names note, which is not among `columns`"),
    ],
)
def test_down_must_give_each_of_the_old_columns_and_no_other(users: Scene, down: str, said: str) -> None:
    spec(users, ROLE[: ROLE.index("down:")] + f"down: {down}")

    with pytest.raises(SpecError, match=said):
        users.migration()


def test_a_column_that_a_view_reads_is_refused_by_its_name(users: Scene) -> None:
    users.sql("CREATE VIEW admins AS SELECT id FROM users WHERE is_admin")

    (problem,) = refusal(users, ROLE)

    assert "is used by view public.admins" in problem.what
