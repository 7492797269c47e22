"""However a search_path is said, PostgreSQL finds the version's views by it, and the sync knows who wrote."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import conninfo, sql
from tests.changes.life import spec
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.spec.fragment import trusted

# The new version may leave the code empty, and the old one's default is no constant: only the schemas can tell.
SCHEMA = """
CREATE SCHEMA "My App"; CREATE SCHEMA other;
CREATE TABLE "My App".codes (id int PRIMARY KEY, code text DEFAULT 'C' || (random() * 0)::int);
CREATE TABLE "My App".plain (id int PRIMARY KEY);
CREATE FUNCTION "My App".twice(text) RETURNS text LANGUAGE sql AS 'SELECT $1 || $1'"""
CHANGE = """change_column:
      {table: codes, column: code, to: {default: null}, up: lower(code), down: upper(code), strategy: versions}"""
NEW, REAL, OLD = '"My App_m"', '"My App"', '"My App_before_m"'
_keys = count(1)


@pytest.fixture(scope="module")
def scene(shared_scene: Callable[[], Scene]) -> Scene:
    made = shared_scene()
    made.sql(SCHEMA)
    url = f"{made.first.upper()}_URL"
    (made.root / "databases.yaml").write_text(f"{made.first}: {{url: env:{url}, schema: My App}}\n")
    spec(made, CHANGE)
    made.up(through="validate")
    return made


def rows(scene: Scene, key: int) -> tuple[Any, Any]:
    """What the old and the new version read."""
    ((old, new),) = scene.sql(
        f"""SELECT o.code, n.code FROM "My App".codes AS o JOIN "My App_m".codes AS n USING (id) WHERE id = {key}"""
    )
    return old, new


NEW_PATHS = [
    f"{NEW}, {REAL}",
    f"{NEW},{REAL}, public",
    f"  {NEW} , pg_catalog, {REAL}",
    f'"$user", nowhere, other, {NEW}, {REAL}',
    f"other, {NEW}, {OLD}, {REAL}",
    NEW,
]
OLD_PATHS = [REAL, f"{REAL}, {NEW}", f"{OLD}, {NEW}, {REAL}", f"other, {OLD}, {REAL}", f'"$user", {OLD}, {NEW}']


@pytest.mark.parametrize(
    ("path", "wanted"), [(p, (None, None)) for p in NEW_PATHS] + [(p, ("C0", "c0")) for p in OLD_PATHS]
)
@pytest.mark.parametrize("way", ["set", "local", "options", "role", "database", "prepared"])
def test_who_leaves_the_column_out_is_known_by_the_path(
    scene: Scene, path: str, wanted: tuple[str | None, str | None], way: str
) -> None:
    key = next(_keys)
    with _session(scene, path, way) as app:
        app.execute("INSERT INTO codes (id) VALUES (%s)", (key,), prepare=way == "prepared")
        app.execute("UPDATE codes SET id = id WHERE id = %s", (key,))
        app.execute("COMMIT") if way == "local" else None

    assert rows(scene, key) == wanted


def _session(scene: Scene, path: str, way: str) -> psycopg.Connection[Any]:
    url = scene.urls[scene.first]
    match way:
        case "options":
            escaped = path.replace("\\", "\\\\").replace(" ", "\\ ")
            return psycopg.connect(conninfo.make_conninfo(url, options=f"-csearch_path={escaped}"), autocommit=True)
        case "role" | "database":
            with scene.connect() as admin:
                database = f"DATABASE {scene.one('SELECT quote_ident(current_database())')}"
                name = f"ROLE CURRENT_ROLE IN {database}" if way == "role" else database
                admin.execute(trusted(f"ALTER {name} SET search_path TO {path}"))
                connection = psycopg.connect(url, autocommit=True)
                admin.execute(trusted(f"ALTER {name} RESET search_path"))
                return connection
        case "local":
            connection = psycopg.connect(url, autocommit=True)
            connection.execute("BEGIN")
            connection.execute(trusted(f"SET LOCAL search_path TO {path}"))
            return connection
        case _:
            connection = psycopg.connect(url, autocommit=True)
            connection.execute(trusted(f"SET search_path TO {path}"))
            return connection


def test_other_tables_and_functions_of_the_schema_are_found_behind_the_views(scene: Scene) -> None:
    with _session(scene, f"{NEW}, {REAL}", "set") as app:
        app.execute("INSERT INTO plain VALUES (1) ON CONFLICT DO NOTHING")
        assert app.execute("SELECT twice('a') FROM plain").fetchall() == [("aa",)]


def test_a_view_named_with_its_schema_needs_no_path(scene: Scene) -> None:
    key = next(_keys)
    scene.sql(f"""INSERT INTO "My App_m".codes VALUES ({key}, 'q')""")
    assert rows(scene, key) == ("Q", "q")


TABLE = """
CREATE TABLE users (id int PRIMARY KEY, mail text, owner text DEFAULT CURRENT_USER, secret text);
INSERT INTO users VALUES (1, 'Ann', 'somebody', 's'), (2, 'Bob', 'another', 's')"""
LOWER = (
    "change_column: {table: users, column: mail, to: {comment: low}, up: lower(mail), down: mail, strategy: versions}"
)
BOTH = ("public_m, public", "public_before_m, public")


@pytest.fixture
def users(shared_scene: Callable[[], Scene]) -> Scene:
    made = shared_scene()
    made.sql(TABLE)
    spec(made, LOWER)
    return made


@pytest.fixture
def role(users: Scene) -> Generator[str]:
    name = f"App {uuid.uuid4().hex[:8]}"
    users.sql(f'CREATE ROLE "{name}"')
    yield name
    users.sql(f'DROP OWNED BY "{name}" CASCADE; DROP ROLE "{name}"')


def as_role(scene: Scene, role: str, path: str) -> psycopg.Connection[Any]:
    connection = scene.connect()
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    connection.execute("SELECT set_config('search_path', %s, false)", (path,))
    return connection


def test_rights_on_the_table_are_those_on_the_views(users: Scene, role: str) -> None:
    users.sql(f'GRANT SELECT, UPDATE ON users TO "{role}"')
    users.up(through="validate")

    for path in BOTH:
        with as_role(users, role, path) as app:
            app.execute("UPDATE users SET mail = 'x' WHERE id = 1")
            assert app.execute("SELECT mail FROM users WHERE id = 1").fetchall() == [("x",)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute("DELETE FROM users")
    users.sql(f'REVOKE UPDATE ON users FROM "{role}"')
    with as_role(users, role, BOTH[0]) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("UPDATE users SET mail = 'y'")


def test_rights_on_single_columns_are_those_on_the_views_columns(users: Scene, role: str) -> None:
    users.sql(f'GRANT SELECT (id, owner), UPDATE (owner), INSERT (id) ON users TO "{role}"')
    users.up(through="validate")

    for number, path in enumerate(BOTH):
        with as_role(users, role, path) as app:
            assert app.execute("SELECT id FROM users WHERE id < 3 ORDER BY id").fetchall() == [(1,), (2,)]
            app.execute("UPDATE users SET owner = 'x' WHERE id = 1")
            app.execute("INSERT INTO users (id) VALUES (%s)", (3 + number,))
            for statement in ("SELECT secret FROM users", "UPDATE users SET secret = ''", "DELETE FROM users"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute(trusted(statement))


def test_row_security_binds_whoever_uses_a_view(users: Scene, role: str) -> None:
    users.sql(
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON users TO "{role}"; ALTER TABLE users ENABLE ROW LEVEL SECURITY;'
        " CREATE POLICY own ON users USING (owner = 'somebody')"
    )
    users.up(through="validate")

    for path in BOTH:
        with as_role(users, role, path) as app:
            assert app.execute("SELECT id FROM users").fetchall() == [(1,)]
            assert app.execute("UPDATE users SET secret = 'new'").rowcount == 1
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute("INSERT INTO users VALUES (3, 'c', 'another')")


def test_rights_on_columns_under_row_security_are_refused_since_no_view_gives_both(users: Scene, role: str) -> None:
    users.sql(f'GRANT SELECT (id) ON users TO "{role}"; ALTER TABLE users ENABLE ROW LEVEL SECURITY')

    with pytest.raises(Refused, match=r"row security and privileges on single columns") as refusal:
        users.runner().plan(users.migration())

    assert refusal.value.fix
