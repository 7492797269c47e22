"""rebuild_index: anew in its place, part by part, and only what a rebuild of ours left is cleared away."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import rows, spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.test_index import cancelled, until
from tests.execute.test_kills import run_out_leases, run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import ExecutionFailed, LockBudgetExceeded, StepRefused

ITEMS = """
CREATE TABLE items (id int PRIMARY KEY, v int, w int, tags int[], CONSTRAINT once UNIQUE (v) DEFERRABLE);
CREATE INDEX byv ON items (v DESC) INCLUDE (w) WITH (fillfactor = 70) WHERE w > 0;
CREATE INDEX tagged ON items USING gin (tags);
CREATE UNIQUE INDEX folded ON items (abs(v), v);
COMMENT ON INDEX byv IS 'best first';
ALTER INDEX folded ALTER COLUMN 1 SET STATISTICS 50;
ALTER TABLE items CLUSTER ON folded;
ALTER TABLE items REPLICA IDENTITY USING INDEX items_pkey;
INSERT INTO items SELECT i, i, i, ARRAY[i] FROM generate_series(1, 500) AS i
"""
PARTS = """
CREATE TABLE items (id int, v int, PRIMARY KEY (id, v)) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (100) PARTITION BY HASH (v);
CREATE TABLE low_0 PARTITION OF low FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE low_1 PARTITION OF low FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE high PARTITION OF items FOR VALUES FROM (100) TO (200);
CREATE INDEX byv ON items (v);
INSERT INTO items SELECT i, i FROM generate_series(0, 199) AS i
"""
BYV = "rebuild_index: {index: byv}"
OIDS = "SELECT c.relname, c.oid::bigint FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid"
OF_ITEMS = f"{OIDS} WHERE i.indrelid = 'items'::regclass ORDER BY 1"
OF_PARTS = f"{OIDS} WHERE c.relname LIKE '%\\_v\\_idx' AND c.relkind = 'i' ORDER BY 1"


def writing(app: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
    app.execute("UPDATE items SET v = v + 10000 * %s WHERE id = %s", (number + 1, dice.randrange(250) * 2 + number + 1))


def test_every_kind_of_index_is_made_anew_while_others_write(scene: Scene) -> None:
    names = ("byv", "folded", "items_pkey", "once", "tagged")
    scene.sql(ITEMS)
    before = scene.schema(), dict(scene.sql(OF_ITEMS))
    spec(scene, *(f"rebuild_index: {{index: {name}}}" for name in names))

    with Writers(scene.connect, writing, writing) as writers:
        assert scene.up().ended == "complete"

    assert writers.failures == []
    assert scene.schema() == before[0]
    after = dict(scene.sql(OF_ITEMS))
    assert after.keys() == before[1].keys()
    assert not {*after.values()} & {*before[1].values()}
    assert scene.one("SELECT bool_and(indisvalid) FROM pg_index") is True


def test_nothing_is_taken_back(scene: Scene) -> None:
    lived = whole_way(scene, ITEMS, BYV)
    assert lived.scene.rollback().ended == "undone"
    assert scene.schema() == lived.schema


@pytest.mark.parametrize("point", ["before statement", "after statement", "before commit"])
def test_a_partitioned_index_is_rebuilt_part_by_part_however_often_a_runner_is_killed(scene: Scene, point: str) -> None:
    scene.sql(PARTS)
    before = scene.schema(), rows(scene), dict(scene.sql(OF_PARTS))
    spec(scene, BYV)

    assert run_until_complete(scene, [f"{point}:{count}" for count in ((9, 5, 3) if "commit" in point else (1, 2))])

    assert (scene.schema(), rows(scene)) == before[:2]
    after = dict(scene.sql(OF_PARTS))
    assert [*after] == ["high_v_idx", "low_0_v_idx", "low_1_v_idx"]
    assert all(after[name] != oid for name, oid in before[2].items())


def test_an_invalid_index_is_made_valid(scene: Scene) -> None:
    scene.sql(ITEMS)
    cancelled(scene, "CREATE INDEX CONCURRENTLY byw ON items (w)")
    spec(scene, "rebuild_index: {index: byw, when_bloated: 99}")

    scene.up()

    assert scene.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'byw'::regclass") is True


@pytest.mark.parametrize("way", ["up", "rollback"])
def test_what_is_left_of_a_rebuild_that_was_cut_off_is_dropped_and_nobody_elses(scene: Scene, way: str) -> None:
    scene.sql(ITEMS)
    cancelled(scene, "REINDEX INDEX CONCURRENTLY byv")  # another's
    spec(scene, BYV)
    scene.up(through="backfill")
    with scene.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET w = w WHERE id = 1")
        process = scene.start_process()
        until(scene, "SELECT to_regclass('byv_ccnew1') IS NOT NULL")
        process.kill()
        assert process.ending().killed
        scene.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'REINDEX INDEX CONC%'")
    run_out_leases(scene)
    oid = scene.one("SELECT 'byv'::regclass::oid::bigint")

    assert (scene.up if way == "up" else scene.rollback)().ended == ("complete" if way == "up" else "undone")

    left = [name for name, _ in scene.sql(OF_ITEMS)]
    assert left == ["byv", "byv_ccnew", "folded", "items_pkey", "once", "tagged"]
    assert (scene.one("SELECT 'byv'::regclass::oid::bigint") != oid) is (way == "up")


def test_one_that_failed_or_waited_for_too_long_leaves_nothing(scene: Scene) -> None:
    scene.sql(ITEMS)
    spec(scene, BYV, more="locks: {timeout: 200ms, budget: 1s}\n")
    with scene.connect() as reader:
        # An old snapshot in another table: the rebuild waits for it last of all, the drop of what is left does not.
        reader.execute("CREATE TABLE other ()")
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT FROM other")
        with pytest.raises(LockBudgetExceeded):
            scene.up()
    assert len(scene.sql(OF_ITEMS)) == 5

    scene.rollback()
    scene.sql("UPDATE items SET w = 1 WHERE id < 3")
    with pytest.raises(psycopg.errors.UniqueViolation):
        scene.sql("CREATE UNIQUE INDEX CONCURRENTLY byw ON items (w)")
    spec(scene, "rebuild_index: {index: byw}")
    with pytest.raises(ExecutionFailed, match="unique violation"):
        scene.up()
    assert len(scene.sql(OF_ITEMS)) == 6


def test_only_what_is_bloated_is_rebuilt_when_the_spec_says_so(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int, v int, w text, PRIMARY KEY (id)) PARTITION BY RANGE (id)")
    scene.sql("CREATE TABLE lean PARTITION OF items FOR VALUES FROM (0) TO (20000)")
    scene.sql("CREATE TABLE fat PARTITION OF items FOR VALUES FROM (20000) TO (40000)")
    scene.sql("INSERT INTO items SELECT i, i % 500, 'w' || i FROM generate_series(0, 39999) AS i")
    scene.sql("CREATE INDEX byv ON items (v); CREATE INDEX byw ON items (lower(w), id)")
    scene.sql("DELETE FROM fat WHERE id % 10 > 0")
    scene.connect().execute("VACUUM ANALYZE items")
    names = "lean_pkey", "fat_pkey", "lean_v_idx", "fat_v_idx", "lean_lower_id_idx", "fat_lower_id_idx"
    oids = ", ".join(f"'{name}'::regclass::oid::bigint" for name in names)
    (before,) = scene.sql(f"SELECT {oids}")
    spec(scene, *(f"rebuild_index: {{index: {name}, when_bloated: 30}}" for name in ("items_pkey", "byv", "byw")))

    scene.up()

    (after,) = scene.sql(f"SELECT {oids}")
    rebuilt = [name for name, old, new in zip(names, before, after, strict=True) if old != new]
    assert rebuilt == ["fat_pkey", "fat_v_idx", "fat_lower_id_idx"]


def test_an_index_that_was_dropped_meanwhile_is_said_to_be_gone(scene: Scene) -> None:
    scene.sql(ITEMS)
    spec(scene, BYV)
    scene.up(through="backfill")
    scene.sql("DROP INDEX byv")

    with pytest.raises(StepRefused, match=r"no index byv on public\.items"):
        scene.up()

    assert scene.rollback().ended == "undone"


def test_the_plan_names_what_somebody_elses_rebuild_has_left(scene: Scene) -> None:
    name = "v" * 63
    scene.sql(ITEMS)
    scene.sql(f"CREATE INDEX {name} ON items (v)")
    cancelled(scene, f"REINDEX INDEX CONCURRENTLY {name}")
    spec(scene, f"rebuild_index: {{index: {name}}}")

    hazards = {hazard.code: hazard.fix for hazard in scene.runner().plan(scene.migration()).hazards}

    assert hazards["left-by-a-rebuild"] == f"when nobody is at it any more, drop_index: {{index: {'v' * 57}_ccnew}}"


REFUSED = [
    ("CREATE TABLE t (r int4range, CONSTRAINT apart EXCLUDE USING gist (r WITH &&))", "index: apart", "an exclusion"),
    ("CREATE TABLE t (v int[]); CREATE INDEX i ON t USING gin (v)", "index: i, when_bloated: 30", "is a gin index"),
    ("CREATE TABLE t (v int)", "index: pg_catalog.pg_class_oid_index", "the system's own tables"),
    ("CREATE TABLE t (v int)", "index: i", "index i does not exist"),
]


@pytest.mark.parametrize(("schema", "change", "what"), REFUSED, ids=[what for _, _, what in REFUSED])
def test_what_cannot_be_rebuilt_is_refused_by_name(scene: Scene, schema: str, change: str, what: str) -> None:
    scene.sql(schema)
    assert [what in problem.what for problem in refusal(scene, f"rebuild_index: {{{change}}}")] == [True]
