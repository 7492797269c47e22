"""A trigger that fires after the sync trigger: refused unless it is seen to leave the mapped columns alone."""

from __future__ import annotations

import pytest
from tests.changes.life import spec
from tests.changes.refusing import refusal
from tests.scene import Scene

from crossfade.execute import Notice, Outcome, Runner, StepFinished

TO_INTEGER = "change_column: {table: p, column: code, to: {type: integer}}"
TRIGGER = """
CREATE TABLE p (id int, code text, other text) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p DEFAULT;
CREATE FUNCTION norm(r p) RETURNS p LANGUAGE sql AS 'SELECT r';
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n int; c CURSOR FOR SELECT 'x'; {} END $$;
CREATE TRIGGER f BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION f()"""

ASSIGNING = [
    "BEGIN new.code := 'x'; RETURN new;",
    "BEGIN NEW.\"code\" = 'x'; RETURN new;",
    "BEGIN f.new.code := 'x'; RETURN new;",
    "BEGIN SELECT 'x' INTO STRICT new.code; RETURN new;",
    "BEGIN SELECT 'y', 'x' INTO f.new.other, new.code; RETURN new;",
    "BEGIN EXECUTE 'SELECT $1.other' INTO new.code USING new; RETURN new;",
    "BEGIN OPEN c; FETCH c INTO new.code; RETURN new;",
    "BEGIN FOR new.code IN SELECT 'x' LOOP END LOOP; RETURN new;",
    "BEGIN FOREACH new.code IN ARRAY '{x}'::text[] LOOP END LOOP; RETURN new;",
    "BEGIN GET DIAGNOSTICS n = ROW_COUNT, new.code = PG_CONTEXT; RETURN new;",
    "BEGIN CALL give(new.code); RETURN new;",
]
ANYTHING = [
    "BEGIN new := json_populate_record(new, '{}'); RETURN new;",
    "BEGIN IF true THEN new = old; END IF; RETURN new;",
    "BEGIN SELECT 1, 'x', 'y' INTO new; RETURN new;",
    "BEGIN RETURN norm(new);",
    "BEGIN RETURN jsonb_populate_record(new, '{}');",
    "r ALIAS FOR new; BEGIN r.code := 'x'; RETURN new;",
    "r p; BEGIN r := new; r.code := 'x'; RETURN r;",
]
HARMLESS = [
    "BEGIN IF new.code = '' THEN RETURN NULL; END IF; RETURN coalesce(new, old);",
    "BEGIN -- new.code := 'x'\n RETURN new;",
    "BEGIN PERFORM 'BEGIN new.code := 1; RETURN code;'; RETURN (new);",
    "BEGIN new.other := new.code; RETURN new;",
    "BEGIN SELECT new.code INTO new.other; IF TG_OP = 'DELETE' THEN RETURN old; END IF; RETURN new;",
    "BEGIN INSERT INTO log SELECT new.code; PERFORM norm(new); RETURN new;",
]


@pytest.mark.parametrize("on", ["p", "p1"])
@pytest.mark.parametrize("body", ASSIGNING)
def test_one_that_assigns_the_column_is_refused_however_it_does(scene: Scene, on: str, body: str) -> None:
    scene.sql(TRIGGER.format(body, on))

    (problem,) = refusal(scene, TO_INTEGER)

    assert problem.what == f"trigger f of public.{on} assigns code after the sync trigger"


@pytest.mark.parametrize("body", ANYTHING)
def test_one_that_may_give_back_another_row_is_refused(scene: Scene, body: str) -> None:
    scene.sql(TRIGGER.format(body, "p"))

    (problem,) = refusal(scene, TO_INTEGER)

    assert problem.what == "trigger f of public.p may assign code after the sync trigger"
    assert "nobody can tell what public.f does to the row" in (problem.why or "")


@pytest.mark.parametrize("body", HARMLESS)
def test_one_that_leaves_the_column_alone_is_taken(scene: Scene, body: str) -> None:
    scene.sql(TRIGGER.format(body, "p"))

    assert refusal(scene, TO_INTEGER) == ()


def test_columns_that_down_reads_count_too(scene: Scene) -> None:
    scene.sql(TRIGGER.format("BEGIN new.other := 'x'; RETURN new;", "p"))

    (problem,) = refusal(scene, TO_INTEGER.removesuffix("}") + ', down: "coalesce(other, code::text)"}')

    assert problem.what == "trigger f of public.p assigns other after the sync trigger"


STAMPED = """
CREATE TABLE t (id int PRIMARY KEY, n int, seen timestamp, words tsvector, said text);
INSERT INTO t (id, seen) SELECT i, '2020-01-01' FROM generate_series(1, 20) AS i;
CREATE TRIGGER late BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION """
MODDATETIME = "CREATE EXTENSION moddatetime"
TO_TIMESTAMPTZ = (
    "change_column: {table: t, column: seen, to: {type: timestamptz}, up: \"seen AT TIME ZONE 'UTC'\","
    " down: \"seen AT TIME ZONE 'UTC'\"}"
)
TSVECTOR = "tsvector_update_trigger(words, 'pg_catalog.simple', said)"


def test_one_in_c_that_names_its_columns_is_judged_by_them(scene: Scene) -> None:
    scene.sql(STAMPED + TSVECTOR)

    (problem,) = refusal(scene, "drop_column: {table: t, column: seen, down: said::timestamp}")

    assert problem.what == "trigger late of public.t assigns said after the sync trigger"
    assert refusal(scene, TO_TIMESTAMPTZ) == ()


def write_once_compared(scene: Scene) -> Outcome:
    """The whole way, with a write between the proof that both sides agree and the turn that rests on it."""
    scene.up(through="validate")
    compared: list[str] = []

    def listen(notice: Notice) -> None:
        if isinstance(notice, StepFinished) and "parity" in notice.step.id and not compared:
            compared.append(notice.step.id)
            scene.sql("UPDATE t SET n = 7 WHERE id = 1")

    outcome = Runner(scene.project(), listen).advance(scene.migration())
    assert compared
    return outcome


def stamps(scene: Scene) -> list[tuple[object, ...]]:
    return scene.sql("SELECT seen > '2026-01-01', count(*) FROM t GROUP BY 1 ORDER BY 1")


STAMP = "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS"
STAMPS = {
    "moddatetime": (MODDATETIME, "moddatetime(seen)", "assigns"),
    "a field": (
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := now(); RETURN NEW; END $$",
        "stamp()",
        "assigns",
    ),
    "the row": (
        STAMP + " $$ BEGIN RETURN jsonb_populate_record(NEW, jsonb_build_object('seen', now())); END $$",
        "stamp()",
        "may assign",
    ),
}


@pytest.mark.parametrize("made", STAMPS)
def test_renamed_as_the_refusal_says_its_writes_are_mapped_up_to_the_turn(scene: Scene, made: str) -> None:
    before, call, does = STAMPS[made]
    if made == "moddatetime" and not scene.sql("SELECT 1 FROM pg_available_extensions WHERE name = 'moddatetime'"):
        pytest.skip("the server has no extension moddatetime")
    scene.sql(before)
    scene.sql(STAMPED.replace("INSERT OR UPDATE", "UPDATE") + call)
    (problem,) = refusal(scene, TO_TIMESTAMPTZ)
    assert problem.what == f"trigger late of public.t {does} seen after the sync trigger"

    scene.sql((problem.fix or "").removesuffix(";"))
    spec(scene, TO_TIMESTAMPTZ)
    assert write_once_compared(scene).ended == "complete"

    assert stamps(scene) == [(False, 19), (True, 1)]
    assert scene.one("SELECT pg_typeof(seen)::text FROM t LIMIT 1") == "timestamp with time zone"
