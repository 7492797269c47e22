"""What docs/phases.md says of limits and refusals is so."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from tests.scene import Scene

from crossfade.changes import Refused

TABLE = "CREATE TABLE t (id int PRIMARY KEY, n text, at timestamptz); INSERT INTO t VALUES (1, '1', now());"
RENAME = "changes: [{rename_column: {table: t, from: n, to: m}}]\n"
DROP = "changes: [{drop_column: {table: t, column: n}}]\n"
RETYPE = "changes: [{change_column: {table: t, column: n, to: {type: int}}}]\n"
TRIGGER = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.n := 1; RETURN new; END';"

REFUSED = {
    "materialized view": ("CREATE MATERIALIZED VIEW v AS SELECT n FROM t", "materialized view public.v"),
    "generated column": ("ALTER TABLE t ADD low text GENERATED ALWAYS AS (lower(n)) STORED", "generated column"),
    "function": ("CREATE FUNCTION g() RETURNS text RETURN (SELECT n FROM t)", "function"),
    "foreign key": ("ALTER TABLE t ADD UNIQUE (n); CREATE TABLE c (n text REFERENCES t (n))", "foreign key"),
    "primary key": ("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n)", "primary key"),
    "sequence": ("CREATE SEQUENCE s OWNED BY t.n", "sequence of its own"),
    "late trigger": (TRIGGER + "CREATE TRIGGER z BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()", "trigger z"),
    "privilege": ("GRANT SELECT (n) ON t TO PUBLIC", "privileges of its own"),
    "replica identity": (
        "ALTER TABLE t ALTER n SET NOT NULL, ADD UNIQUE (n); ALTER TABLE t REPLICA IDENTITY USING INDEX t_n_key",
        "replica identity",
    ),
    "inheritance": ("CREATE TABLE child () INHERITS (t)", "inheritance tree"),
}
# They follow a column that is replaced, and have nowhere to go when it is dropped.
REFUSED_TO_DROP = {
    "statistics object": ("CREATE STATISTICS s ON id, n FROM t", "statistics"),
    "view": ("CREATE VIEW v AS SELECT n FROM t", "view public.v"),
    "rule": ("CREATE RULE r AS ON INSERT TO t WHERE new.n = '' DO INSTEAD NOTHING", "rule"),
    "policy": ("CREATE POLICY p ON t USING (n = CURRENT_USER)", "policy p"),
    "trigger": (TRIGGER + "CREATE TRIGGER z AFTER UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION f()", "trigger z"),
}


@pytest.mark.parametrize("what", [*REFUSED, *REFUSED_TO_DROP])
def test_a_column_in_use_is_refused_by_name_with_a_way_out(scene: Scene, what: str) -> None:
    made, named = (REFUSED | REFUSED_TO_DROP)[what]
    scene.sql(TABLE + made)
    scene.spec(RENAME if what in REFUSED else DROP)
    with pytest.raises(Refused) as refusal:
        scene.runner().plan(scene.migration())
    assert named in str(refusal.value)
    assert refusal.value.fix


def test_a_prepared_select_star_fails_after_expand_until_it_is_deallocated(scene: Scene) -> None:
    scene.sql(TABLE)
    scene.spec(RENAME)
    with _preparing(scene) as client:
        client.execute("SELECT * FROM t")
        client.execute("SELECT n FROM t")
        scene.up(through="expand")
        client.execute("SELECT n FROM t")
        for _ in range(2):
            with pytest.raises(errors.FeatureNotSupported, match="cached plan must not change result type"):
                client.execute("SELECT * FROM t")
        client.execute("DEALLOCATE ALL")
        client.execute("SELECT * FROM t")


def test_a_prepared_column_fails_after_its_type_was_swapped_unless_it_is_cast(scene: Scene) -> None:
    scene.sql(TABLE)
    scene.spec(RETYPE)
    with _preparing(scene) as client:
        client.execute("SELECT n FROM t")
        client.execute("SELECT n::text FROM t")
        scene.up(through="cutover")
        assert client.execute("SELECT n::text FROM t").fetchone() == ("1",)
        with pytest.raises(errors.FeatureNotSupported, match="cached plan must not change result type"):
            client.execute("SELECT n FROM t")


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("add_column: {table: t, column: extra, type: text}", ["expand"]),
        ("drop_column: {table: t, column: n}", ["retire", "drop"]),
        ("rename_column: {table: t, from: n, to: m}", ["expand", "retire", "drop"]),
        ("change_column: {table: t, column: n, to: {type: int}}", ["expand", "cutover", "drop"]),
    ],
)
def test_a_prepared_returning_star_fails_where_the_plan_says(scene: Scene, change: str, stages: list[str]) -> None:
    scene.sql(TABLE)
    scene.spec(f"changes: [{{{change}}}]\n")
    plan = scene.runner().plan(scene.migration())
    failed: list[str] = []
    with _preparing(scene) as client:
        for leg in plan.legs:
            client.execute("UPDATE t SET at = now() RETURNING *")
            scene.up(through=str(leg))
            try:
                client.execute("UPDATE t SET at = now() RETURNING *")
            except errors.FeatureNotSupported:
                failed.append(str(leg))
                client.execute("DEALLOCATE ALL")
    assert failed == stages
    (said, *_) = (hazard.what for hazard in plan.hazards if hazard.code == "prepared-statements")
    assert all(stage in said.partition(" fail after ")[2].partition(":")[0] for stage in stages)


@pytest.mark.parametrize(
    ("change", "astray"),
    [
        ("change_column: {table: t, column: n, to: {type: int}}", "cutover"),
        ("rename_column: {table: t, from: n, to: m}", "retire"),
        ("add_column: {table: t, column: extra, type: text}", None),
    ],
)
def test_what_counts_columns_fails_from_expand_on_and_inserts_by_position_go_on(
    scene: Scene, change: str, astray: str | None
) -> None:
    scene.sql(TABLE + "CREATE TABLE other (LIKE t)")
    scene.spec(f"changes: [{{{change}}}]\n")
    plan = scene.runner().plan(scene.migration())
    said = [hazard.what for hazard in plan.hazards if hazard.code == "columns-by-position"]
    assert len(said) == 1
    assert "fail from expand on" in said[0]
    assert ("would go astray" in said[0]) is (astray is not None)
    scene.sql("INSERT INTO other SELECT * FROM t")

    scene.up(through="expand")

    with pytest.raises(errors.SyntaxError, match="more expressions than target columns"):
        scene.sql("INSERT INTO other SELECT * FROM t")
    with (
        scene.connect() as client,
        pytest.raises(errors.BadCopyFileFormat, match="missing data for column"),
        client.cursor().copy("COPY t FROM STDIN") as copy,
    ):
        copy.write("2\t2\t2020-01-01\n")
    scene.sql("INSERT INTO t VALUES (3, '3', now()); INSERT INTO t SELECT 4, '4', now()")
    if astray:
        scene.up(through=astray)
        scene.sql("INSERT INTO t (id) VALUES (5)")
        (hidden,) = (name for name in scene.own_objects() if "_old_" in name)
        assert scene.columns("t")[-1] == ("n" if astray == "cutover" else "m")
        assert scene.sql(f"SELECT attnum FROM pg_attribute WHERE attname = '{hidden}'") == [(2,)]


def test_both_sides_written_at_once_stay_as_written(scene: Scene) -> None:
    scene.sql(TABLE)
    scene.spec(RENAME)
    scene.up(through="expand")
    scene.sql("UPDATE t SET n = 'old', m = 'new'")
    assert scene.sql("SELECT n, m FROM t") == [("old", "new")]


def test_contract_ends_with_the_last_stage_named_and_the_triggers_stay(scene: Scene) -> None:
    scene.sql(TABLE)
    scene.spec(RENAME + "contract: {stages: [retire: {}]}\n")
    assert scene.up().ended == "complete"
    scene.sql("UPDATE t SET m = 'new'")
    (hidden,) = (name for name in scene.own_objects() if "_old_" in name)
    assert scene.one(f'SELECT "{hidden}" FROM t') == "new"


def _preparing(scene: Scene) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(scene.urls["app"], autocommit=True, prepare_threshold=0)
