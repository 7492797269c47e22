"""create_view, replace_view, drop_view: made, replaced, dropped, and back exactly."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text, age int, hidden boolean DEFAULT false);
INSERT INTO users SELECT i, 'u' || i, i FROM generate_series(1, 20) AS i;
CREATE VIEW old WITH (security_barrier = true, check_option = local) AS SELECT id, email FROM users WHERE id > 0;
CREATE VIEW wide AS SELECT id, email FROM users;
CREATE VIEW over AS SELECT email FROM wide;
COMMENT ON VIEW old IS 'what was'; COMMENT ON COLUMN old.email IS 'where to';
ALTER VIEW old ALTER COLUMN email SET DEFAULT 'none';
GRANT SELECT ON old TO pg_read_all_stats WITH GRANT OPTION; GRANT UPDATE (email), SELECT ON old TO pg_monitor;
GRANT INSERT ON over TO PUBLIC; REVOKE DELETE ON over FROM CURRENT_USER;
CREATE RULE quiet AS ON DELETE TO old DO INSTEAD NOTHING; COMMENT ON RULE quiet ON old IS 'never'"""
CREATE = "create_view: {view: grown, as: SELECT id FROM users WHERE age > 17, check_option: cascaded, comment: adults}"
REPLACE = "replace_view: {view: wide, as: 'SELECT id, email, age FROM users WHERE NOT hidden'}"
DROP = "drop_view: {view: old}"


def test_views_are_made_replaced_and_dropped_and_all_comes_back(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, CREATE, REPLACE, DROP)

    assert "CREATE VIEW public.grown AS" in lived.schema
    assert "WITH CASCADED CHECK OPTION" in lived.schema
    assert "COMMENT ON VIEW public.grown IS 'adults'" in lived.schema
    assert "public.old" not in lived.schema
    assert scene.sql("SELECT id, email, age FROM wide WHERE id = 3") == [(3, "u3", 3)]


def test_a_dropped_view_comes_back_with_all_that_was_told_of_it(scene: Scene) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, DROP, REPLACE)

    assert scene.up().ended == "complete"
    assert scene.rollback().ended == "undone"

    assert scene.schema() == before


def test_default_privileges_given_since_do_not_stick_to_a_view_that_comes_back(scene: Scene) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, DROP)
    scene.up()
    scene.sql("ALTER DEFAULT PRIVILEGES GRANT TRIGGER ON TABLES TO pg_monitor")

    scene.rollback()

    scene.sql("ALTER DEFAULT PRIVILEGES REVOKE TRIGGER ON TABLES FROM pg_monitor")
    assert scene.schema() == before


def test_readers_of_a_view_that_is_replaced_notice_nothing(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, REPLACE, CREATE)

    def read(connection: psycopg.Connection[Any], dice: random.Random, _: int) -> None:
        connection.execute("SELECT id, email FROM wide WHERE id = %s", (dice.randint(1, 20),))
        connection.execute("UPDATE wide SET email = 'x' WHERE id = %s", (dice.randint(1, 20),))

    with Writers(scene.connect, read, read) as writers:
        assert scene.up().ended == "complete"
        assert scene.rollback().ended == "undone"

    assert writers.failures == []


def test_a_view_over_what_the_same_migration_brings_comes_once_it_is_filled(scene: Scene) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, email text); INSERT INTO users VALUES (1, 'A')")
    lower = "add_column: {table: users, column: folded, type: text, up: lower(email)}"
    table = "create_table: {table: notes, columns: [{name: user_id, type: int}]}"
    spec(
        scene,
        lower,
        table,
        "create_view: {view: v, as: 'SELECT u.folded, n.user_id FROM users u LEFT JOIN notes n ON n.user_id = u.id'}",
        "create_view: {view: over, as: SELECT folded FROM v}",
    )

    assert scene.up(through="expand").ended == "reached"
    assert scene.one("SELECT to_regclass('v')") is None
    scene.up()

    assert scene.sql("SELECT folded FROM over") == [("a",)]


@pytest.mark.parametrize(
    ("leg", "fault"), [("expand", "before commit:1"), ("expand", "after step:2"), ("drop", "before commit:1")]
)
def test_a_runner_killed_while_views_change_is_gone_on_with(scene: Scene, leg: str, fault: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, REPLACE, CREATE, DROP)
    before = scene.schema()
    if leg == "drop":
        scene.up(through="validate")
    assert scene.start_process(fault=fault).ending().killed
    scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    assert scene.up().ended == "complete"
    assert scene.rollback().ended == "undone"
    assert scene.schema() == before


def test_a_view_that_somebody_altered_since_is_not_dropped(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, DROP)
    scene.up(through="validate")
    scene.sql("GRANT INSERT ON old TO pg_monitor")

    with pytest.raises(StepRefused, match=r"alterations of view public\.old"):
        scene.up()


REFUSED = {
    "no such view": ("drop_view: {view: oldest}", "view public.oldest does not exist"),
    "a view that others read": ("drop_view: {view: wide}", "public.wide is used by view public.over"),
    "a name that is taken": ("create_view: {view: users, as: SELECT 1 AS a}", "public.users exists already"),
    "a column that is not there": (
        "create_view: {view: v, as: SELECT emial FROM users}",
        'column "emial" does not exist',
    ),
    "a column that would be gone": (
        "replace_view: {view: wide, as: SELECT id FROM users}",
        "public.wide would not be what its readers know: email is gone",
    ),
    "a column of another type": (
        "replace_view: {view: wide, as: 'SELECT id::text, email FROM users'}",
        "public.wide would not be what its readers know: id is text, was integer",
    ),
}


@pytest.mark.parametrize(("change", "what"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_when_planned(scene: Scene, change: str, what: str) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, change)

    assert problem.what.startswith(what)


def test_a_view_over_a_column_that_the_migration_takes_away_is_refused(scene: Scene) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, "drop_column: {table: users, column: age}", CREATE)

    assert problem.what.startswith("create_view needs public.users.age, which drop_column in line 6 takes away")


def test_a_view_that_lets_its_readers_around_row_security_is_told(scene: Scene) -> None:
    scene.sql(SCHEMA + "; ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    spec(scene, CREATE)

    assert "bypasses-row-security" in {hazard.code for hazard in scene.runner().plan(scene.migration()).hazards}
