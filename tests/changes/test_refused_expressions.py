"""Refused when planning: expressions PostgreSQL would refuse, or that could not be carried over, with a way out."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator

import pytest
from tests.changes.refusing import ZOO, refusal
from tests.scene import Scene


@pytest.fixture(scope="module")
def zoo(shared_scene: Callable[[], Scene]) -> Scene:
    scene = shared_scene()
    scene.sql(ZOO)
    return scene


def with_up(up: str, type_: str = "text") -> str:
    return f'add_column: {{table: users, column: extra, type: {type_}, up: "{up}"}}'


RESOLVED = [
    (with_up("emial"), "column users.emial does not exist"),
    (with_up("orders.amount"), 'missing FROM-clause entry for table "orders"'),
    (with_up("lower(age)"), "function lower(integer) does not exist"),
    (with_up("nope(name)"), "function nope(text) does not exist"),
    (with_up("max(name)"), "aggregate functions are not allowed"),
    (with_up("row_number() OVER ()"), "window functions are not allowed"),
    (with_up("many()"), "set-returning functions are not allowed"),
    (with_up("generate_series(1, 2)", "integer"), "set-returning functions are not allowed"),
    (with_up("name + 1"), "operator does not exist: text + integer"),
    (with_up("(SELECT amount FROM orders WHERE user_ref = email)"), 'column "email" does not exist'),
    ("add_column: {table: users, column: extra, type: int, default: age}", "column users.age does not exist"),
    (
        "add_column: {table: users, column: extra, type: int, default: \"'abc'\"}",
        "invalid input syntax for type integer",
    ),
    ("add_column: {table: users, column: extra, type: int, check: extr > 0}", "column users.extr does not exist"),
    ("add_constraint: {table: users, name: c, check: ages > 0}", "column users.ages does not exist"),
    ("update_rows: {table: users, set: {name: nam}}", "column users.nam does not exist"),
    ("update_rows: {table: users, set: {name: name}, where: nam = 'x'}", "column users.nam does not exist"),
    ("create_index: {table: users, name: i, columns: [{expression: lower(nam)}]}", "column users.nam does not exist"),
    ("create_index: {table: users, name: i, columns: [name], where: ages > 0}", "column users.ages does not exist"),
    (
        "create_table: {table: fresh, columns: [{name: id, type: int}], checks: {c: idd > 0}}",
        "column fresh.idd does not exist",
    ),
    (
        "create_table: {table: fresh, columns: [{name: id, type: int, default: nope()}]}",
        "function nope() does not exist",
    ),
]


@pytest.mark.parametrize(("change", "reason"), RESOLVED, ids=[case[1] for case in RESOLVED])
def test_what_postgresql_cannot_resolve_is_refused_with_its_own_words(zoo: Scene, change: str, reason: str) -> None:
    (problem,) = refusal(zoo, change)

    assert reason in problem.what
    assert problem.why == "PostgreSQL refuses it"


def test_a_column_of_the_row_is_named_with_its_table_in_a_sub_select(zoo: Scene) -> None:
    bare = with_up("(SELECT amount FROM orders WHERE user_ref = email)", "integer")
    named = with_up("(SELECT amount FROM orders WHERE user_ref = users.email)", "integer")

    (problem,) = refusal(zoo, bare)

    assert problem.fix == "in a sub-select name columns of the row as users.column"
    assert refusal(zoo, named) == ()


ASSIGNED = [
    (with_up("name", "integer"), "up gives text, the column wants integer", "write (name)::integer"),
    (with_up("age", "boolean"), "up gives integer, the column wants boolean", "write (age)::boolean"),
    (
        with_up("seen::text", "timestamptz"),
        "up gives text, the column wants timestamp with",
        "write (seen::text)::timestamp",
    ),
    (
        'add_column: {table: users, column: extra, type: int, up: "1", down: {born: extra}}',
        "down of born gives integer, the column wants date",
        "write (extra)::date",
    ),
    (
        "add_column: {table: users, column: extra, type: int, default: true}",
        "default gives boolean",
        "write (true)::integer",
    ),
    (
        "add_constraint: {table: users, name: c, check: age}",
        "check gives integer, the column wants boolean",
        "(age)::boolean",
    ),
    (
        "update_rows: {table: users, set: {age: name}}",
        "set of age gives text, the column wants integer",
        "(name)::integer",
    ),
    (
        "update_rows: {table: users, set: {age: age}, where: age}",
        "where gives integer, the column wants boolean",
        "(age)::",
    ),
    (
        "drop_column: {table: users, column: born, down: age}",
        "down gives integer, the column wants date",
        "(age)::date",
    ),
    (
        "create_table: {table: fresh, columns: [{name: id, type: int}], checks: {c: id}}",
        "check c gives integer",
        "(id)::boolean",
    ),
]


@pytest.mark.parametrize(("change", "what", "fix"), ASSIGNED, ids=[case[1] for case in ASSIGNED])
def test_a_type_that_is_not_assigned_by_itself_is_refused_with_the_cast_to_write(
    zoo: Scene, change: str, what: str, fix: str
) -> None:
    (problem,) = refusal(zoo, change)

    assert problem.what.startswith(what)
    assert fix in (problem.fix or "")


ASSIGNABLE = [
    with_up("age"),
    with_up("age", "bigint"),
    with_up("age", "'numeric(10,2)'"),
    with_up("name", "varchar(5)"),
    with_up("'x'"),
    with_up("null", "json"),
    with_up("5", "smallint"),
    with_up("born", "timestamp"),
    with_up("age || ''"),
    with_up("(SELECT max(amount) FROM orders)", "integer"),
    with_up("(SELECT o.amount FROM orders AS o WHERE o.user_ref = users.email LIMIT 1)", "integer"),
]


@pytest.mark.parametrize("change", ASSIGNABLE)
def test_what_postgresql_assigns_by_itself_is_taken(zoo: Scene, change: str) -> None:
    assert refusal(zoo, change) == ()


CARRIED = [
    (with_up("to_jsonb(users.*)", "jsonb"), "up takes the row of public.users as a whole"),
    (with_up("(SELECT t.amount FROM orders AS t WHERE t.user_ref = users.email)", "integer"), "up calls a table t"),
    (with_up("(SELECT new.amount FROM orders new)", "integer"), "up calls a table new in a sub-select"),
    (with_up("shout"), "up reads shout, a generated column of public.users"),
    ("add_column: {table: users, column: extra, type: text, check: (SELECT true)}", "check has a sub-select"),
    ("add_column: {table: users, column: extra, type: int, default: (SELECT 1)}", "default has a sub-select"),
    ("add_column: {table: users, column: extra, type: int, down: {name: extra}}", "down without up"),
    ("create_index: {table: users, name: i, columns: [{expression: random()}]}", "`random()` may give another value"),
    (
        "create_index: {table: users, name: i, columns: [name], where: seen > now()}",
        "`seen > now()` may give another value",
    ),
    (
        "change_column: {table: users, column: age, to: {type: text}}",
        "constraint users_age_check of public.users does not fit",
    ),
    (
        "change_column: {table: users, column: self, to: {type: integer}}",
        "foreign key users_self_fkey of public.users does not",
    ),
    (
        "create_table: {table: fresh, columns: [{name: id, type: int}], primary_key: [idd]}",
        "public.fresh has no column idd",
    ),
    (
        "create_table: {table: fresh, columns: [{name: id, type: int}, {name: id, type: int}]}",
        "public.fresh has two columns of",
    ),
    (
        "create_table: {table: fresh, columns: [{name: id, type: text, identity: true}]}",
        "id is text, and identity gives whole",
    ),
    ("sql: {up: VACUUM users, transaction: false}", "sql without a transaction needs `verify`"),
]


@pytest.mark.parametrize(("change", "what"), CARRIED, ids=[case[1] for case in CARRIED])
def test_what_could_not_be_carried_out_is_refused(zoo: Scene, change: str, what: str) -> None:
    (problem,) = refusal(zoo, change)

    assert problem.what.startswith(what)
    assert problem.why or problem.fix


def test_a_default_that_the_new_type_cannot_take_is_refused(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text DEFAULT 'none')")

    (problem,) = refusal(scene, "change_column: {table: items, column: code, to: {type: integer}}")

    assert problem.what == "the default of public.items.code is text, the column shall be integer"
    assert refusal(scene, "change_column: {table: items, column: code, to: {type: integer, default: 0}}") == ()


TOGETHER = [
    (
        ("rename_column: {table: orders, from: user_ref, to: title}", "drop_column: {table: orders, column: user_ref}"),
        "column user_ref is changed twice in one migration",
    ),
    (
        (
            "rename_column: {table: orders, from: user_ref, to: title}",
            "add_column: {table: orders, column: title, type: text}",
        ),
        "column title exists already in public.orders",
    ),
    (
        (
            "add_column: {table: users, column: a, type: text, up: name, down: {name: a}}",
            "add_column: {table: users, column: b, type: text, up: name, down: {name: b}}",
        ),
        "column name gets its value from two changes",
    ),
    (
        (
            "add_column: {table: orders, column: a, type: text, up: user_ref, down: {user_ref: a}}",
            "rename_column: {table: orders, from: user_ref, to: title}",
        ),
        "column user_ref gets its value from two changes",
    ),
    (
        (
            "create_index: {table: users, name: i, columns: [name]}",
            "create_index: {table: users, name: i, columns: [email]}",
        ),
        "this does what the change in line 6 does",
    ),
]


@pytest.mark.parametrize(("changes", "what"), TOGETHER, ids=[case[1] for case in TOGETHER])
def test_changes_that_contradict_each_other_are_refused(zoo: Scene, changes: tuple[str, ...], what: str) -> None:
    (problem,) = refusal(zoo, *changes)

    assert problem.what == what
    assert problem.where is not None


@pytest.fixture
def lowly(scene: Scene) -> Generator[Scene]:
    """The migrations run as a role that owns the table and may do nothing else."""
    role = f"owner_{uuid.uuid4().hex[:8]}"
    database = scene.one("SELECT quote_ident(current_database())")
    scene.sql(
        f"CREATE ROLE {role}; GRANT CREATE ON DATABASE {database} TO {role}; GRANT ALL ON SCHEMA public TO {role};"
        "CREATE TABLE items (id int PRIMARY KEY, code text, parent int REFERENCES items);"
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TRIGGER touched AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION nothing();"
        f"ALTER TABLE items OWNER TO {role}"
    )
    (scene.root / "databases.yaml").write_text(f"app: {{url: env:APP_URL, role: {role}}}\n")
    yield scene
    scene.sql(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            "change_column: {table: items, column: code, to: {type: integer}}",
            "trigger touched of public.items would fire",
        ),
        (
            "update_rows: {table: items, set: {code: lower(code)}}",
            "trigger touched of public.items would fire for every row that is set",
        ),
    ],
)
def test_a_role_that_may_not_silence_user_triggers_must_choose(lowly: Scene, change: str, what: str) -> None:
    (problem,) = refusal(lowly, change)

    assert what in problem.what
    assert "fire_triggers: true" in (problem.fix or "")
    if lowly.one("SHOW server_version_num") < "150000":
        assert "nobody can be granted session_replication_role" in (problem.fix or "")
    else:
        assert 'GRANT SET ON PARAMETER session_replication_role TO "owner_' in (problem.fix or "")
    assert refusal(lowly, change, more="backfill: {fire_triggers: true}\n") == ()


def test_a_foreign_keys_column_is_not_updated_where_that_would_silence_the_key(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE items (id int PRIMARY KEY, parent int REFERENCES items);"
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TRIGGER touched AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION nothing()"
    )

    (problem,) = refusal(scene, 'update_rows: {table: items, set: {parent: "null"}}')

    assert problem.what.startswith("parent of public.items is in a foreign key, and trigger touched would fire")
