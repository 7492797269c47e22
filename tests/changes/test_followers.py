"""Views, rules, policies and triggers over a column that is replaced: made again over the new one, and back exactly."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec
from tests.changes.refusing import refusal
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, note text, code int NOT NULL, mail text);
INSERT INTO users SELECT i, 'x', i, 'user' || i FROM generate_series(1, 50) AS i;
CREATE VIEW zz_base WITH (security_barrier = true, security_invoker = true)
  AS SELECT id, code, mail AS address, code + 1 AS "nextCode" FROM users WHERE mail IS NOT NULL;
CREATE VIEW above AS SELECT b.code, b.address, u.note FROM zz_base AS b JOIN users AS u USING (id, code);
CREATE VIEW checked WITH (check_option = local) AS SELECT id, code, mail FROM users WHERE code > 0;
CREATE VIEW ids AS SELECT id FROM users WHERE code > 0 AND mail <> '';
COMMENT ON VIEW zz_base IS 'addresses'; COMMENT ON COLUMN zz_base.address IS 'where to';
GRANT SELECT ON zz_base TO pg_read_all_stats WITH GRANT OPTION; GRANT SELECT, UPDATE (code, mail) ON checked TO PUBLIC;
GRANT SELECT (code) ON above TO pg_monitor; GRANT UPDATE ON zz_base TO pg_monitor;
REVOKE DELETE ON above FROM CURRENT_USER;
ALTER VIEW checked ALTER COLUMN mail SET DEFAULT 'nobody';
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN UPDATE users SET note = 'instead' WHERE id = old.id; RETURN new; END $$;
CREATE TRIGGER instead INSTEAD OF UPDATE ON above FOR EACH ROW EXECUTE FUNCTION instead();
COMMENT ON TRIGGER instead ON above IS 'a note';
CREATE RULE quiet AS ON DELETE TO above DO INSTEAD NOTHING;
COMMENT ON RULE quiet ON above IS 'never';
CREATE POLICY mine ON users FOR SELECT TO pg_monitor USING (code > 0 AND mail <> 'x');
COMMENT ON POLICY mine ON users IS 'own rows';
CREATE TABLE notes (user_id int);
CREATE POLICY theirs ON notes AS RESTRICTIVE USING (user_id IN (SELECT id FROM users WHERE code > 3 AND mail <> ''));
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER watch AFTER UPDATE OF code, mail ON users FOR EACH ROW
  WHEN (old.code IS DISTINCT FROM new.code OR new.mail = 'x') EXECUTE FUNCTION nothing();
ALTER TABLE users DISABLE TRIGGER watch;
COMMENT ON TRIGGER watch ON users IS 'asleep'"""
RENAMED = "rename_column: {table: users, from: mail, to: email}"
WIDENED = "change_column: {table: users, column: code, to: {type: bigint}}"


@pytest.mark.parametrize(
    ("changes", "stage"),
    [((RENAMED,), "retire"), ((WIDENED,), "cutover"), ((RENAMED, WIDENED), "retire")],
    ids=["renamed", "widened", "both"],
)
def test_what_reads_the_column_follows_the_new_one_and_comes_back_as_it_was(
    scene: Scene, changes: tuple[str, ...], stage: str
) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, *changes)

    scene.up(through=stage)
    assert scene.rollback().ended == "undone"
    assert scene.schema() == before

    assert scene.up().ended == "complete"
    assert scene.own_objects() == []
    assert "_cf_" not in scene.schema()
    scene.sql("UPDATE checked SET mail = 'new' WHERE id = 3")
    assert scene.sql("SELECT code, address, note FROM above WHERE code = 3") == [(3, "new", "x")]


def test_a_view_gives_a_renamed_column_under_the_name_it_had_there(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, RENAMED)

    scene.up(through="retire")

    assert "SELECT users.id,\n    users.code,\n    users.email AS mail\n" in scene.one(
        "SELECT pg_get_viewdef('checked')"
    )
    assert "WITH (security_barrier='true', security_invoker='true')" in scene.schema()
    assert scene.one("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'mine'") == (
        "((code > 0) AND (email <> 'x'::text))"
    )
    assert "UPDATE OF code, email" in scene.one("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'watch'")


def test_the_views_over_a_view_that_gives_a_wider_column_give_it_too(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, WIDENED)

    scene.up(through="cutover")

    assert scene.sql(
        "SELECT attrelid::regclass::text, attname, format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid IN ('above'::regclass, 'zz_base'::regclass) AND attname ~* 'code' ORDER BY 1, 2"
    ) == [("above", "code", "bigint"), ("zz_base", "code", "bigint"), ("zz_base", "nextCode", "bigint")]


def test_clients_that_read_and_write_through_views_notice_nothing(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, RENAMED, WIDENED)

    def read(connection: psycopg.Connection[Any], dice: random.Random, _: int) -> None:
        connection.execute("SELECT code, address, note FROM above WHERE code = %s", (dice.randint(1, 50),))

    def write(connection: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        connection.execute("UPDATE checked SET mail = %s WHERE id = %s", (f"w{number}", dice.randint(1, 50)))

    with Writers(scene.connect, read, read, write) as writers:
        assert scene.up().ended == "complete"
        assert scene.rollback().ended == "undone"

    assert writers.failures == []
    assert writers.statements > 50


@pytest.mark.parametrize("step", ["cutover", "retire"])
def test_a_runner_killed_in_the_turn_is_gone_on_with(scene: Scene, step: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, RENAMED, WIDENED)
    scene.up(through="validate" if step == "cutover" else "cutover")
    assert scene.start_process(fault="before commit:1").ending().killed
    scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    assert scene.up().ended == "complete"

    assert scene.sql("SELECT code, address FROM above WHERE code = 3") == [(3, "user3")]
    assert "_cf_" not in scene.schema()


def test_a_view_that_somebody_changed_since_is_not_lost(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, WIDENED)
    scene.up(through="validate")
    scene.sql("GRANT SELECT ON above TO pg_signal_backend")

    with pytest.raises(StepRefused, match=r"1 alterations of view public\.above"):
        scene.up()

    scene.sql("REVOKE SELECT ON above FROM pg_signal_backend")
    assert scene.up().ended == "complete"


def test_a_view_that_groups_by_the_key_of_its_table_is_carried_over(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE users (id int PRIMARY KEY, code int); CREATE TABLE posts (user_id int);"
        "CREATE VIEW counted AS SELECT u.id, u.code, count(*) AS posts FROM users u JOIN posts p ON p.user_id = u.id"
        " GROUP BY u.id"
    )
    spec(scene, WIDENED)

    assert scene.up().ended == "complete"

    assert scene.one("SELECT pg_typeof(code)::text FROM counted UNION ALL SELECT 'none'") == "none"
    assert "GROUP BY u.id" in scene.schema()


def test_what_is_over_one_partition_is_carried_over(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE users (id int PRIMARY KEY, code int, mail text) PARTITION BY RANGE (id);"
        "CREATE TABLE few PARTITION OF users FOR VALUES FROM (0) TO (10);"
        "CREATE VIEW codes AS SELECT code, mail FROM few;"
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TRIGGER watch AFTER UPDATE OF code, mail ON users FOR EACH ROW EXECUTE FUNCTION nothing();"
        "INSERT INTO users VALUES (1, 2, 'a')"
    )
    before = scene.schema()
    spec(scene, RENAMED, WIDENED)

    scene.up(through="retire")
    assert scene.sql("SELECT code, mail FROM codes") == [(2, "a")]
    assert scene.sql("SELECT DISTINCT tgattr::text FROM pg_trigger WHERE tgname = 'watch'") != [("2 3",)]
    scene.rollback()

    assert scene.schema() == before


def test_a_type_that_is_widened_in_place_takes_its_views_along(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE users (id int PRIMARY KEY, code varchar(5)); INSERT INTO users VALUES (1, 'a');"
        "CREATE VIEW codes AS SELECT code FROM users; COMMENT ON VIEW codes IS 'a note';"
        "CREATE STATISTICS sampled ON id, code FROM users; INSERT INTO users VALUES (2, 'b'), (3, 'b')"
    )
    spec(scene, "change_column: {table: users, column: code, to: {type: varchar(9)}, strategy: in_place}")

    assert scene.up().ended == "complete"

    assert scene.one("SELECT n_distinct IS NOT NULL FROM pg_stats_ext WHERE statistics_name = 'sampled'")

    assert scene.one(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'codes'::regclass"
    ) == ("character varying(9)")
    assert scene.one("SELECT obj_description('codes'::regclass)") == "a note"


MORE = """
CREATE TABLE users (id int PRIMARY KEY, code int, mail text);
INSERT INTO users SELECT i, i, 'user' || i FROM generate_series(1, 50) AS i;
CREATE STATISTICS codes (ndistinct, dependencies) ON code, mail FROM users;
CREATE STATISTICS sums (mcv) ON (code + 1), id FROM users;
ALTER STATISTICS codes SET STATISTICS 50; COMMENT ON STATISTICS codes IS 'together';
CREATE MATERIALIZED VIEW empty AS SELECT code, mail FROM users WITH NO DATA;
CREATE UNIQUE INDEX empty_codes ON empty (code); COMMENT ON MATERIALIZED VIEW empty IS 'not yet'"""


@pytest.mark.parametrize(("change", "stage"), [(RENAMED, "retire"), (WIDENED, "cutover")], ids=["renamed", "widened"])
def test_statistics_and_materialized_views_that_hold_nothing_follow(scene: Scene, change: str, stage: str) -> None:
    scene.sql(MORE)
    before = scene.schema()
    spec(scene, change)

    scene.up(through=stage)
    sampled = "SELECT count(*) FROM pg_stats_ext WHERE tablename = 'users' AND n_distinct IS NOT NULL"
    assert scene.one(sampled) == 1
    assert scene.rollback().ended == "undone"
    assert scene.schema() == before
    assert scene.one(sampled) == 1

    assert scene.up().ended == "complete"
    assert "_cf_" not in scene.schema()
    assert "COMMENT ON STATISTICS public.codes IS 'together'" in scene.schema()
    scene.sql("REFRESH MATERIALIZED VIEW empty")
    assert scene.sql("SELECT code, mail FROM empty WHERE code = 3") == [(3, "user3")]


@pytest.mark.parametrize(("change", "stage"), [(RENAMED, "retire"), (WIDENED, "cutover")], ids=["renamed", "widened"])
def test_a_virtual_generated_column_is_computed_from_the_new_one(scene: Scene, change: str, stage: str) -> None:
    if scene.connect().info.server_version < 180000:
        pytest.skip("PostgreSQL 18 brought them")
    scene.sql(
        "CREATE TABLE users (id int PRIMARY KEY, code int, mail text, whole text GENERATED ALWAYS AS (mail || code))"
    )
    scene.sql("INSERT INTO users SELECT i, i, 'user' FROM generate_series(1, 50) AS i")
    before = scene.schema()
    spec(scene, change)

    def read(connection: psycopg.Connection[Any], dice: random.Random, _: int) -> None:
        number = dice.randint(1, 50)
        found = connection.execute("SELECT whole FROM users WHERE id = %s", (number,)).fetchone()
        assert found == (f"user{number}",)

    with Writers(scene.connect, read) as readers:
        scene.up(through=stage)
        assert scene.rollback().ended == "undone"
        assert scene.schema() == before
        assert scene.up().ended == "complete"

    assert readers.failures == []


def test_a_view_that_the_migration_replaces_is_no_obstacle(scene: Scene) -> None:
    """Nor what is over it, which reads the column through it alone."""
    scene.sql(
        "CREATE TABLE users (id int PRIMARY KEY, name text, fax text, a text, b text);"
        "INSERT INTO users VALUES (1, 'Ada Byron', '1', 'x', 'y');"
        "CREATE VIEW cards AS SELECT id, name, fax, a || b AS both FROM users;"
        "CREATE VIEW over AS SELECT name FROM cards; CREATE MATERIALIZED VIEW kept AS SELECT fax FROM cards"
    )
    before = scene.schema()
    spec(
        scene,
        "split_column: {table: users, column: name, down: \"concat_ws(' ', first, last)\", into: {"
        "first: {type: text, up: \"split_part(name, ' ', 1)\"}, last: {type: text, up: \"split_part(name, ' ', 2)\"}}}",
        "drop_column: {table: users, column: fax}",
        "merge_columns: {table: users, columns: [a, b], into: {ab: {type: text, up: a || b}},"
        " down: {a: 'left(ab, 1)', b: 'right(ab, 1)'}}",
        "replace_view: {view: cards, as: \"SELECT id, concat_ws(' ', first, last) AS name, NULL::text AS fax,"
        ' ab AS both FROM users"}',
    )

    def read(connection: psycopg.Connection[Any], _dice: random.Random, _: int) -> None:
        assert connection.execute("SELECT name FROM over").fetchone() == ("Ada Byron",)

    with Writers(scene.connect, read) as readers:
        scene.up(through="retire")
        assert scene.rollback().ended == "undone"
        assert scene.schema() == before
        assert scene.up().ended == "complete"

    assert readers.failures == []
    assert scene.sql("SELECT * FROM cards") == [(1, "Ada Byron", None, "xy")]
    assert "_cf_" not in scene.schema()


def test_a_view_whose_new_query_reads_what_goes_is_refused(scene: Scene) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, fax text, code int); CREATE VIEW v AS SELECT fax FROM users")

    (problem,) = refusal(
        scene,
        "drop_column: {table: users, column: fax}",
        "replace_view: {view: v, as: 'SELECT fax, code FROM users'}",
    )

    assert problem.what == "replace_view needs public.users.fax, which drop_column in line 6 takes away"


REFUSED: dict[str, tuple[str, str]] = {
    "a materialized view": (
        "CREATE MATERIALIZED VIEW v AS SELECT code FROM users",
        "public.users (code) is used by materialized view public.v",
    ),
    "a materialized view over a view": (
        "CREATE VIEW b AS SELECT code FROM users; CREATE MATERIALIZED VIEW v AS SELECT code FROM b",
        "public.users (code) is used by materialized view public.v",
    ),
    "a stored generated column": (
        "ALTER TABLE users ADD next text GENERATED ALWAYS AS (code::text) STORED",
        "public.users (code) is used by generated column next",
    ),
    "statistics that the type does not fit": (
        "CREATE STATISTICS s (mcv) ON (code & 1), id FROM users",
        "statistics public.s does not fit code as text: `(code & 1)`: operator does not exist",
    ),
    "a view that the type does not fit": (
        "CREATE VIEW v AS SELECT code & 1 AS odd FROM users",
        "view public.v does not fit code as text: operator does not exist: text & integer",
    ),
    "a policy that the type does not fit": (
        "CREATE POLICY p ON users USING (code > 3)",
        "policy p of public.users does not fit code as text: `(code > 3)`: operator does not exist",
    ),
    "a trigger that the type does not fit": (
        """CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
           CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW WHEN (new.code > 3) EXECUTE FUNCTION f()""",
        "trigger t of public.users does not fit code as text: operator does not exist",
    ),
}


@pytest.mark.parametrize(("made", "what"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_follow_is_refused_by_name(scene: Scene, made: str, what: str) -> None:
    scene.sql(f"CREATE TABLE users (id int PRIMARY KEY, code int); {made}")

    (problem,) = refusal(scene, "change_column: {table: users, column: code, to: {type: text}}")

    assert problem.what.startswith(what)


def test_the_plan_says_what_is_made_again_and_locks_it(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, WIDENED)

    plan = scene.runner().plan(scene.migration())

    (turn,) = [step for step in plan.steps if step.title.startswith("swap names")]
    assert {str(lock.relation) for lock in turn.locks} >= {"public.above", "public.zz_base", "public.users"}
    (told,) = [hazard.what for hazard in plan.hazards if hazard.code == "carried-over"]
    assert told.startswith("policy mine on public.users, policy theirs on public.notes, trigger watch on public.users,")
