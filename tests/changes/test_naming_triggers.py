"""A user's trigger whose function names a column by text: refused where the name goes, kept working where it stays."""

from __future__ import annotations

import uuid

import pytest
from psycopg import errors
from tests.changes.life import spec
from tests.changes.refusing import refusal
from tests.scene import Scene

TABLE = """
CREATE TABLE t (id int PRIMARY KEY, code text, n int) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t DEFAULT;
CREATE TABLE audit (said text);
INSERT INTO t SELECT i, '05', i FROM generate_series(1, 20) AS i;
"""
FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NULL; END $$;"
HELPERS = """
CREATE FUNCTION g(r t) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (r.code); END $$;
CREATE FUNCTION h(r t) RETURNS void LANGUAGE sql AS $$ SELECT g(r) $$;
"""
EACH_ROW = "CREATE TRIGGER af AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f({});"
EACH_STATEMENT = (
    "CREATE TRIGGER af AFTER UPDATE ON t REFERENCING NEW TABLE AS them FOR EACH STATEMENT EXECUTE FUNCTION f();"
)
DYNAMIC = "EXECUTE 'INSERT INTO audit SELECT ($1).code' USING new;"
GIVEN = "EXECUTE format('INSERT INTO audit SELECT ($1).%I::text', TG_ARGV[0]) USING NEW;"
NAMING = {
    "a field": (
        FUNCTION.format("INSERT INTO audit VALUES (NEW.code);") + EACH_ROW.format(""),
        "names code in public.f",
    ),
    "a quoted field": (
        FUNCTION.format('INSERT INTO audit SELECT (old)."code";') + EACH_ROW.format(""),
        "names code in public.f",
    ),
    "of one partition": (
        FUNCTION.format("INSERT INTO audit VALUES (NEW.code);") + EACH_ROW.replace("ON t ", "ON t1 ").format(""),
        "names code in public.f",
    ),
    "an argument": (FUNCTION.format(GIVEN) + EACH_ROW.format("'code'"), "gives public.f the name code"),
    "dynamic SQL": (
        FUNCTION.format(DYNAMIC) + EACH_ROW.format(""),
        "selects code of the row in dynamic SQL of public.f",
    ),
    "a helper": (
        HELPERS + FUNCTION.format("PERFORM h(NEW);") + EACH_ROW.format(""),
        "gives the row to public.g(public.t), which selects code",
    ),
    "a transition table": (
        FUNCTION.format("INSERT INTO audit SELECT code FROM them;") + EACH_STATEMENT,
        "names code in public.f",
    ),
}
LEAVING = ["rename_column: {table: t, from: code, to: kode}", "drop_column: {table: t, column: code}"]


@pytest.mark.parametrize("change", LEAVING, ids=["rename", "drop"])
@pytest.mark.parametrize(("made", "how"), NAMING.values(), ids=NAMING)
def test_it_is_refused_where_the_name_goes_however_it_is_named(scene: Scene, made: str, how: str, change: str) -> None:
    scene.sql(TABLE + made)

    (problem,) = refusal(scene, change)

    where = "t1" if "ON t1" in made else "t"
    assert problem.what == f"trigger af of public.{where} {how}"
    assert "from retire on there is no code" in (problem.why or "")


UNPROVEN = {
    "a string": FUNCTION.format("INSERT INTO audit VALUES (to_jsonb(NEW) ->> 'code');") + EACH_ROW.format(""),
    "another table": FUNCTION.format("INSERT INTO audit SELECT q.code FROM t AS q;") + EACH_ROW.format(""),
    "part of an argument": FUNCTION.format("") + EACH_ROW.format("'{code,n}'"),
    "a trigger that is off": (
        FUNCTION.format("PERFORM NEW.code;") + EACH_ROW.format("") + "ALTER TABLE t DISABLE TRIGGER af;"
    ),
}
HARMLESS = {
    "another field": HELPERS + FUNCTION.format("INSERT INTO audit VALUES (NEW.n::text);") + EACH_ROW.format("'n'"),
    "the row as a whole": FUNCTION.format("INSERT INTO audit VALUES (to_jsonb(NEW)::text);") + EACH_ROW.format(""),
}


def told(scene: Scene, change: str) -> list[str]:
    spec(scene, change)
    hazards = scene.runner().plan(scene.migration()).hazards
    return [hazard.what for hazard in hazards if hazard.code in ("trigger-body", "kept-types")]


@pytest.mark.parametrize("change", LEAVING, ids=["rename", "drop"])
@pytest.mark.parametrize("made", UNPROVEN.values(), ids=UNPROVEN)
def test_what_only_may_need_the_name_is_a_warning(scene: Scene, made: str, change: str) -> None:
    scene.sql(TABLE + made)

    (what,) = told(scene, change)

    assert what.startswith("trigger af of public.t says code in public.f: see that it works where there is no such")


@pytest.mark.parametrize("change", LEAVING, ids=["rename", "drop"])
@pytest.mark.parametrize("made", HARMLESS.values(), ids=HARMLESS)
def test_what_does_not_say_the_name_is_no_hazard(scene: Scene, made: str, change: str) -> None:
    scene.sql(TABLE + made)

    assert told(scene, change) == []


@pytest.mark.parametrize("change", LEAVING, ids=["rename", "drop"])
def test_a_function_that_does_without_the_name_as_the_refusal_says_fails_no_write(scene: Scene, change: str) -> None:
    scene.sql(TABLE + FUNCTION.format("INSERT INTO audit VALUES (NEW.code);") + EACH_ROW.format(""))
    (problem,) = refusal(scene, change)
    assert "to_jsonb(new) ->> 'code'" in (problem.fix or "")
    body = "INSERT INTO audit VALUES (to_jsonb(new) ->> 'code');"
    scene.sql(FUNCTION.format(body).replace("CREATE", "CREATE OR REPLACE"))
    spec(scene, change)
    application = scene.connect()

    for leg in ("validate", "retire", "archive", "drop"):
        scene.up(through=leg)
        application.execute("UPDATE t SET n = 0 WHERE id = 1")

    assert scene.sql("SELECT said FROM audit") == [("05",), (None,), (None,), (None,)]
    assert scene.rollback().ended == "undone"
    application.execute("UPDATE t SET n = 0 WHERE id = 1")


READING = {
    "a field": FUNCTION.format("INSERT INTO audit VALUES (NEW.code);") + EACH_ROW.format(""),
    "a helper": HELPERS + FUNCTION.format("PERFORM h(NEW);") + EACH_ROW.format(""),
}
TO_INTEGER = "change_column: {table: t, column: code, to: {type: integer}}"


@pytest.mark.parametrize("made", READING.values(), ids=READING)
def test_where_the_name_stays_and_the_type_does_not_a_session_goes_on_firing_it(scene: Scene, made: str) -> None:
    scene.sql(TABLE + made)
    assert told(scene, TO_INTEGER)
    application = scene.connect()

    def write() -> None:
        for _ in range(7):  # the plan of an expression is kept for good after five
            application.execute("UPDATE t SET n = 0 WHERE id = 1")

    write()
    for leg in ("validate", "cutover", "archive", "drop"):
        scene.up(through=leg)
        write()
    assert scene.rollback().ended == "undone"
    write()

    assert scene.one("SELECT count(*) FROM audit") == 42


def test_widened_in_place_a_session_goes_on_firing_it_too(scene: Scene) -> None:
    scene.sql(TABLE.replace("code text", "code varchar(9)") + READING["a field"])
    spec(scene, "change_column: {table: t, column: code, to: {type: text}, strategy: in_place}")
    application = scene.connect()
    application.execute("UPDATE t SET n = 0 WHERE id = 1")

    assert scene.up().ended == "complete"

    application.execute("UPDATE t SET n = 0 WHERE id = 1")


def test_a_function_that_the_role_may_not_alter_is_a_danger(scene: Scene) -> None:
    role = f"owner_{uuid.uuid4().hex[:8]}"
    database = scene.one("SELECT quote_ident(current_database())")
    scene.sql(TABLE + READING["a field"])
    scene.sql(f"CREATE ROLE {role}; GRANT CREATE ON DATABASE {database} TO {role}")
    scene.sql(f"GRANT ALL ON SCHEMA public TO {role}")
    scene.sql(f"ALTER TABLE t OWNER TO {role}; ALTER TABLE t1 OWNER TO {role}")
    (scene.root / "databases.yaml").write_text(f"app: {{url: env:APP_URL, role: {role}}}\n")

    spec(scene, TO_INTEGER, more="backfill: {fire_triggers: true}\n")
    hazards = {hazard.code: hazard for hazard in scene.runner().plan(scene.migration()).hazards}

    scene.sql(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
    assert hazards["kept-types"].risk == "danger"
    assert "sessions that fired trigger af of public.t before cutover fail in public.f()" in hazards["kept-types"].what


LOG = "CREATE TABLE log (op text, id int, code text, n int);"
BY_POSITION = {
    "selected": "INSERT INTO log SELECT 'U', NEW.*;",
    "as values": "INSERT INTO log VALUES ('U', OLD.*);",
}
AS_A_ROW = {
    "given to a function": "INSERT INTO audit VALUES (to_jsonb(NEW.*)::text);",
    "compared": "IF NEW.* IS DISTINCT FROM OLD.* THEN INSERT INTO audit VALUES (NEW.n); END IF;",
}
ADDED = "add_column: {table: t, column: extra, type: text}"


def by_position(scene: Scene) -> list[str]:
    spec(scene, ADDED)
    return [h.what for h in scene.runner().plan(scene.migration()).hazards if h.code == "row-by-position"]


@pytest.mark.parametrize("body", BY_POSITION.values(), ids=BY_POSITION)
def test_a_trigger_that_copies_the_row_by_position_is_a_danger(scene: Scene, body: str) -> None:
    scene.sql(TABLE + LOG + FUNCTION.format(body) + EACH_ROW.format(""))
    scene.sql("UPDATE t SET n = 0 WHERE id = 1")

    (what,) = by_position(scene)

    assert what.startswith("trigger af of public.t takes the row's columns by position in public.f: from expand on")
    scene.up(through="expand")
    with (
        scene.connect() as application,
        pytest.raises(errors.SyntaxError, match="more expressions than"),
    ):
        application.execute("UPDATE t SET n = 0 WHERE id = 1")


@pytest.mark.parametrize("body", AS_A_ROW.values(), ids=AS_A_ROW)
def test_a_trigger_that_takes_the_row_as_a_whole_is_none(scene: Scene, body: str) -> None:
    scene.sql(TABLE + FUNCTION.format(body) + EACH_ROW.format(""))

    assert by_position(scene) == []
    scene.up(through="expand")
    scene.sql("UPDATE t SET n = 0 WHERE id = 1")
