"""strategy: versions from its beginning to its end: under live writers of both versions, taken back, and killed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

SCHEMA = """
CREATE TABLE users (id bigint PRIMARY KEY, mail text NOT NULL DEFAULT 'NONE', name text, gone text DEFAULT 'g');
CREATE INDEX mails ON users (mail);
INSERT INTO users SELECT i, 'User' || i, 'N' || i FROM generate_series(1, 4000) AS i"""
LOWER = """change_column: {table: users, column: mail, strategy: versions, up: lower(mail), down: mail,
      to: {check: "mail = lower(mail)", default: "'none'"}}"""
CHANGES = (
    LOWER,
    "rename_column: {table: users, from: name, to: full_name}",
    "drop_column: {table: users, column: gone}",
    "add_column: {table: users, column: seen, type: int, default: '0'}",
)
STAGES = "contract: {stages: [cutover: {}, retire: {}, archive: {}, drop: {}]}\n"
NEW, OLD, REAL = "public_m, public", "public_before_m, public", "public"


class Application:
    """Writers of one version, who remember the last address of each row of theirs."""

    def __init__(self, scene: Scene, path: str, first: int) -> None:
        self.path = path
        self.written: dict[int, str] = {}
        self._scene = scene
        self._first = first
        self._lock = threading.Lock()

    def connect(self) -> psycopg.Connection[Any]:
        connection = self._scene.connect()
        connection.execute("SELECT set_config('search_path', %s, false)", (self.path,))
        return connection

    def write(self, app: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        key = self._first + number * 300 + dice.randrange(300)
        name = "full_name" if self.path.startswith("public_m") else "name"
        mail = f"m{dice.randrange(10**6)}" if name == "full_name" else f"M{dice.randrange(10**6)}"
        statement = (
            f"INSERT INTO users (id, mail, {name}) VALUES (%s, %s, 'x')"
            " ON CONFLICT (id) DO UPDATE SET mail = excluded.mail RETURNING mail"
        )
        ((kept,),) = app.execute(statement.encode(), (key, mail)).fetchall()
        assert kept == mail
        if dice.random() < 0.1:
            app.execute("DELETE FROM users WHERE id = %s", (key,))
        with self._lock:
            self.written.pop(key, None)
            if app.execute("SELECT FROM users WHERE id = %s", (key,)).fetchone():
                self.written[key] = mail


def test_both_versions_write_from_expand_to_the_end_and_nothing_fails_or_is_lost(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES, more=STAGES)
    plain, before, new = (Application(scene, path, at) for path, at in ((REAL, 1), (OLD, 1001), (NEW, 2001)))

    with Writers(plain.connect, plain.write, plain.write) as on_tables:
        scene.up(through="expand")
        with Writers(new.connect, new.write, new.write) as on_views:
            scene.up(through="validate")
            with Writers(before.connect, before.write) as on_old_views:
                on_tables.__exit__()
                scene.up(through="cutover")
            outcome = scene.up()

    assert outcome.ended == "complete"
    assert (on_tables.failures, on_views.failures, on_old_views.failures) == ([], [], [])
    assert min(on_tables.statements, on_views.statements, on_old_views.statements) > 5
    found = dict(scene.sql("SELECT id, mail FROM users"))
    written = plain.written | before.written | new.written
    assert {key: found.get(key) for key in written} == {key: mail.lower() for key, mail in written.items()}
    assert {key: mail for key, mail in found.items() if key > 3000} == {i: f"user{i}" for i in range(3001, 4001)}
    assert scene.columns("users") == ["id", "seen", "mail", "full_name"]
    assert scene.own_objects() == []


@pytest.mark.parametrize("leg", ["expand", "backfill", "validate", "cutover", "retire", "archive"])
def test_a_rollback_leaves_the_schema_and_the_old_values_as_they_were(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES, more=STAGES)
    before = scene.schema(), rows(scene)

    scene.up(through=leg)
    assert scene.rollback().ended == "undone"

    assert (scene.schema(), rows(scene)) == before


@pytest.mark.parametrize("leg", ["retire", "drop"])
def test_a_stage_that_is_taken_back_gives_the_version_its_views_again(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES, more=STAGES)
    scene.up(through=None if leg == "drop" else leg)

    scene.rollback(to="cutover")

    for path, wanted in ((OLD, ("User1", "N1", "g")), (NEW, ("user1", "N1", 0))):
        with Application(scene, path, 0).connect() as app:
            names = "mail, name, gone" if path == OLD else "mail, full_name, seen"
            assert app.execute(f"SELECT {names} FROM users WHERE id = 1".encode()).fetchall() == [wanted]
            app.execute("UPDATE users SET mail = 'z' WHERE id = 2")
    assert scene.up().ended == "complete"
    assert scene.sql("SELECT id, mail FROM users WHERE id < 3 ORDER BY id") == [(1, "user1"), (2, "z")]
    assert scene.own_objects() == []


@pytest.mark.parametrize("point", ["before commit", "after commit", "after step"])
def test_a_runner_killed_in_every_phase_ends_as_an_undisturbed_one(scene: Scene, point: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES, more=STAGES)

    kills = run_until_complete(scene, [f"{point}:{count}" for count in (1, 3, 6, 9, 7, 5, 3)])

    assert kills >= 3
    assert scene.sql("SELECT count(*), count(*) FILTER (WHERE mail = 'user' || id) FROM users") == [(4000, 4000)]
    assert scene.own_objects() == []
    assert scene.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'public%'") == [("public",)]


RENAMED = (
    "rename_column: {table: places, from: ident, to: id, strategy: versions}",
    "rename_column: {table: places, from: label, to: name, strategy: versions}",
    "create_index: {table: places, name: names, columns: [name]}",
)
PLACES = """
CREATE TABLE places (ident int PRIMARY KEY, label text NOT NULL DEFAULT 'L', kind text);
CREATE TABLE visits (place int REFERENCES places (ident));
CREATE VIEW labels AS SELECT label FROM places;
CREATE POLICY own ON places USING (label <> '');
ALTER TABLE places ENABLE ROW LEVEL SECURITY;
INSERT INTO places SELECT i, 'P' || i FROM generate_series(1, 1000) AS i"""


def test_a_rename_by_views_writes_no_row_and_takes_what_depends_on_the_column_along(scene: Scene) -> None:
    scene.sql(PLACES)
    spec(scene, *RENAMED)
    written = "SELECT sum(xmin::text::bigint), count(*) FROM places"
    before, filled = (scene.schema(), rows(scene)), scene.sql(written)

    scene.up(through="validate")
    for path, columns in ((NEW, "id, name"), (OLD, "ident, label"), (REAL, "ident, label")):
        with Application(scene, path, 0).connect() as app:
            assert app.execute(f"SELECT {columns} FROM places LIMIT 1".encode()).fetchall() == [(1, "P1")]
    scene.up(through="cutover")
    for path, columns in ((NEW, "id, name"), (OLD, "ident, label"), (REAL, "id, name")):
        with Application(scene, path, 0).connect() as app:
            assert app.execute(f"SELECT {columns} FROM places LIMIT 1".encode()).fetchall() == [(1, "P1")]
    scene.rollback()
    assert (scene.schema(), rows(scene)) == before

    assert scene.up().ended == "complete"
    assert scene.sql(written) == filled
    assert scene.columns("places") == ["id", "name", "kind"]
    assert "CREATE INDEX names ON public.places USING btree (name)" in scene.schema()
    assert scene.sql("SELECT count(*) FROM labels") == [(1000,)]
    assert scene.own_objects() == []


def test_nobody_fails_while_a_column_is_renamed_by_views(scene: Scene) -> None:
    scene.sql(PLACES)
    spec(scene, *RENAMED)
    scene.up(through="validate")

    def writing(columns: str) -> Callable[[psycopg.Connection[Any], random.Random, int], None]:
        key, name = columns.split()

        def write(app: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
            text = f"UPDATE places SET {name} = 'w' WHERE {key} = %s RETURNING {key}, {name}"
            app.execute(text.encode(), (dice.randrange(1, 1000),))

        return write

    old, new = Application(scene, OLD, 0), Application(scene, NEW, 0)
    with Writers(new.connect, writing("id name"), writing("id name")) as on_views:
        with Writers(old.connect, writing("ident label")) as on_old_views:
            scene.up(through="cutover")
        scene.up()

    assert (on_views.failures, on_old_views.failures) == ([], [])
    assert scene.own_objects() == []


def test_a_null_that_the_new_version_writes_before_a_row_is_filled_is_not_lost(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(
        scene,
        "change_column: {table: users, column: gone, to: {default: null}, up: lower(gone), strategy: versions}",
        "change_column: {table: users, column: name, to: {type: varchar}, strategy: versions}",
    )
    scene.up(through="expand")

    with Application(scene, NEW, 0).connect() as app:
        app.execute("UPDATE users SET gone = NULL WHERE id = 1")
        app.execute("UPDATE users SET mail = 'x' WHERE id = 2")
        app.execute("UPDATE users SET name = 'y' WHERE id = 3")
    scene.up(through="validate")

    seen = "SELECT gone, name FROM {} WHERE id < 4 ORDER BY id"
    assert scene.sql(seen.format("users")) == [(None, "N1"), ("g", "N2"), ("g", "y")]
    assert scene.sql(seen.format("public_m.users")) == [(None, "N1"), ("g", "N2"), ("g", "y")]
