"""change_column where no value changes: done in place, by the catalog and proved rules."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.changes.refusing import refusal
from tests.scene import Scene

from crossfade.execute import StepRefused
from crossfade.steps.step import BACKFILL, Walk

SCHEMA = """
CREATE TABLE items (
  id int PRIMARY KEY, strict text, loose text NOT NULL, given text, taken text DEFAULT 'x', checked int, lone text,
  said text, unsaid text, wide varchar(10) COLLATE "C", free varchar(10), exact numeric(8,2), long numeric(8,2),
  open varchar);
COMMENT ON COLUMN items.unsaid IS 'old';
CREATE INDEX by_wide ON items (wide);
INSERT INTO items VALUES (1, 'a', 'a', 'a', 'a', 1, 'a', 'a', 'a', 'a', 'a', 1, 1),
                         (2, 'b', 'b', NULL, NULL, NULL, NULL, 'b', 'b', 'b', 'b', 2, 2)"""
CHANGES = {
    "strict": "{nullable: false}",
    "loose": "{nullable: true}",
    "given": "{default: \"'y'\"}",
    "taken": "{default: null}",
    "checked": "{check: checked > 0}",
    "lone": "{unique: true}",
    "said": "{comment: new}",
    "unsaid": "{comment: null}",
    "wide": "{type: varchar(20)}",
    "free": "{type: text}",
    "exact": "{type: 'numeric(12,2)'}",
    "long": "{type: numeric}",
    "open": "{type: text}",
}
ONE_WAY = ("wide", "free", "exact", "long")


def change(column: str) -> str:
    strategy = ", strategy: in_place" if column in ONE_WAY else ""
    return f"change_column: {{table: items, column: {column}, to: {CHANGES[column]}{strategy}}}"


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, *map(change, CHANGES))


@pytest.mark.parametrize(
    ("column", "line"),
    [
        ("strict", "strict text NOT NULL"),
        ("loose", "loose text"),
        ("given", "given text DEFAULT 'y'::text"),
        ("taken", "taken text"),
        ("checked", "checked integer"),
        ("wide", 'wide character varying(20) COLLATE pg_catalog."C"'),
        ("free", "free text"),
        ("exact", "exact numeric(12,2)"),
        ("long", "long numeric"),
        ("open", "open text"),
    ],
)
def test_the_column_is_what_it_shall_be(lived: Lived, column: str, line: str) -> None:
    assert lived.lines(f"    {column} ") == [line]


def test_rules_and_comments_are_what_they_shall_be(lived: Lived) -> None:
    assert lived.lines("items_checked", "items_lone", "COMMENT") == [
        "CONSTRAINT items_checked_check CHECK ((checked > 0))",
        "COMMENT ON COLUMN public.items.said IS 'new'",
        "ADD CONSTRAINT items_lone_key UNIQUE (lone)",
    ]


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    return scene


@pytest.mark.parametrize("column", [*ONE_WAY, "open"])
def test_a_catalog_only_type_change_copies_nothing(items: Scene, column: str) -> None:
    spec(items, change(column))
    files = "SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relname IN ('items', 'by_wide') ORDER BY 1"
    before = items.sql(files)

    assert not [step for step in items.runner().plan(items.migration()).steps if isinstance(step, Walk)]
    items.up()

    assert items.sql(files) == before


@pytest.mark.parametrize(
    "reader",
    [
        "CREATE INDEX part ON items (id) WHERE free <> 'x'",
        "CREATE INDEX folded ON items (lower(free))",
        "ALTER TABLE items ADD CHECK (free <> 'x')",
    ],
    ids=["partial index", "expression index", "check"],
)
def test_a_type_that_postgresql_would_scan_or_rebuild_under_lock_is_swapped_instead(items: Scene, reader: str) -> None:
    items.sql(reader)
    spec(items, "change_column: {table: items, column: free, to: {type: text}}")

    plan = items.runner().plan(items.migration())

    assert [step.id for step in plan.steps_of(BACKFILL)] == ["public.items/backfill"]


PLAIN = """
CREATE DOMAIN label AS text;
CREATE DOMAIN short AS varchar(10);
CREATE DOMAIN filled AS text CHECK (VALUE <> '');
CREATE TABLE plain (
  id int PRIMARY KEY, seen timestamp DEFAULT now(), zoned timestamptz, name text, named label, must filled,
  at timestamp(3), net cidr, doc xml, bits varbit(8), tags varchar(5)[], sorted text, span interval(3), brief short);
INSERT INTO plain VALUES (1, '2024-07-01 12:00', '2024-07-01 12:00Z', 'a', 'a', 'a', now(), '10.0.0.0/8', '<a/>', '101',
                          '{a}', 'a', '1 day', 'a')"""
BOTH_WAYS = {
    "seen": "type: timestamptz",
    "zoned": "type: timestamp",
    "name": "type: label",
    "named": "type: text",
    "sorted": "collation: C",
}
ONE_WAY_ONLY = {
    "must": "type: text",
    "at": "type: timestamp",
    "net": "type: inet",
    "doc": "type: text",
    "bits": "type: varbit",
    "tags": "type: 'varchar[]'",
    "span": "type: interval",
    "brief": "type: text",
}


@pytest.mark.parametrize("column", [*BOTH_WAYS, *ONE_WAY_ONLY])
def test_a_type_that_has_the_same_bytes_copies_nothing(scene: Scene, column: str) -> None:
    scene.sql(PLAIN)
    to = BOTH_WAYS.get(column) or ONE_WAY_ONLY[column]
    strategy = ", strategy: in_place" if column in ONE_WAY_ONLY else ""
    spec(scene, f"change_column: {{table: plain, column: {column}, to: {{{to}}}{strategy}}}")
    file, before = scene.one("SELECT pg_relation_filenode('plain')"), scene.schema()

    if column in BOTH_WAYS:
        scene.up()
        assert scene.rollback().ended == "undone"
        assert scene.schema() == before
    scene.up()

    assert scene.one("SELECT pg_relation_filenode('plain')") == file
    assert scene.schema() != before


@pytest.mark.parametrize(
    ("column", "to", "index"),
    [
        ("seen", "{type: timestamptz}", "CREATE INDEX ON plain (seen)"),
        ("sorted", "{collation: C}", "CREATE INDEX ON plain (sorted)"),
        ("at", "{type: 'timestamp(1)'}", "SELECT"),
        ("brief", "{type: varchar(10)}", "SELECT"),
        ("name", "{type: short}", "SELECT"),
    ],
)
def test_a_type_whose_rows_or_indexes_postgresql_would_write_again_is_copied(
    scene: Scene, column: str, to: str, index: str
) -> None:
    scene.sql(PLAIN)
    scene.sql(index)
    spec(scene, f"change_column: {{table: plain, column: {column}, to: {to}}}")

    plan = scene.runner().plan(scene.migration())

    assert [step.id for step in plan.steps_of(BACKFILL)] == ["public.plain/backfill"]


def test_an_index_is_ordered_by_the_new_collation(scene: Scene) -> None:
    scene.sql("CREATE TABLE words (id int PRIMARY KEY, word text); CREATE INDEX by_word ON words (word)")
    spec(scene, "change_column: {table: words, column: word, to: {collation: C}}")

    assert scene.up().ended == "complete"

    ordered = "SELECT indcollation[0]::regcollation::text FROM pg_index WHERE indexrelid = 'by_word'::regclass"
    assert 'word text COLLATE pg_catalog."C"' in scene.schema()
    assert scene.one(ordered) == '"C"'


def test_a_collation_that_is_not_there_is_refused_with_the_nearest_one(items: Scene) -> None:
    (problem,) = refusal(items, "change_column: {table: items, column: said, to: {collation: POSIXX}}")

    assert problem.what == "there is no collation POSIXX"
    assert (problem.fix or "").startswith("did you mean `POSIX`?")


def test_a_foreign_key_of_the_column_is_locked_at_both_ends(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE areas (code varchar(9) PRIMARY KEY); CREATE TABLE people (area varchar(9) REFERENCES areas)"
    )
    spec(scene, "change_column: {table: people, column: area, to: {type: text}, strategy: in_place}")

    (step,) = (s for s in scene.runner().plan(scene.migration()).steps if s.id == "public.people/area/type")

    assert {(lock.relation.name, lock.mode) for lock in step.locks} == {
        ("people", "ACCESS EXCLUSIVE"),
        ("areas", "ACCESS EXCLUSIVE"),
    }


def test_times_without_a_zone_are_taken_as_utc_and_the_plan_says_so(scene: Scene) -> None:
    scene.sql(PLAIN)
    spec(scene, "change_column: {table: plain, column: seen, to: {type: timestamptz}}")
    assert "taken-as-utc" in {hazard.code for hazard in scene.runner().plan(scene.migration()).hazards}

    scene.up()

    assert scene.one("SELECT seen = '2024-07-01 12:00Z' FROM plain")


def test_the_checks_of_a_column_are_taken_away_and_come_back(scene: Scene) -> None:
    scene.sql("CREATE TABLE jobs (id int PRIMARY KEY, state text CONSTRAINT known CHECK (state IN ('a', 'b')), n int)")
    scene.sql("COMMENT ON CONSTRAINT known ON jobs IS 'two'; ALTER TABLE jobs ADD CHECK (n > 0 OR state = 'a')")
    before = scene.schema()
    spec(scene, "change_column: {table: jobs, column: state, to: {check: null}}")

    scene.up(through="cutover")
    scene.sql("INSERT INTO jobs VALUES (1, 'c', 1)")
    assert "jobs_check" in scene.schema()

    with pytest.raises(StepRefused, match=r"^1 rows that break the check known"):
        scene.rollback()
    scene.sql("UPDATE jobs SET state = 'b'")
    assert scene.rollback().ended == "undone"
    assert scene.schema() == before


def test_rows_without_a_value_hold_up_not_null_and_are_counted(items: Scene) -> None:
    items.sql("UPDATE items SET strict = NULL WHERE id = 2")
    spec(items, change("strict"))

    with pytest.raises(StepRefused, match=r"^1 rows without a value in public\.items\.strict") as refused:
        items.up()
    assert 'SELECT "t"."id" FROM "public"."items" AS "t" WHERE' in str(refused.value.fix)

    items.sql("UPDATE items SET strict = 'b' WHERE id = 2")
    assert items.up().ended == "complete"


def test_not_null_binds_new_rows_before_old_ones_are_proved_by_a_constraint_named_for_the_migration(
    items: Scene,
) -> None:
    spec(items, change("strict"))

    items.up(through="validate")

    with pytest.raises(Exception, match=r'violates check constraint "_cf_m_'):
        items.sql("INSERT INTO items (id, loose) VALUES (3, 'c')")


def test_rows_that_break_a_check_hold_it_up_and_rows_with_null_do_not(items: Scene) -> None:
    items.sql("UPDATE items SET checked = 0 WHERE id = 1")
    spec(items, change("checked"))

    with pytest.raises(StepRefused, match=r"^1 rows that break the check items_checked_check"):
        items.up()


def test_duplicates_hold_unique_up_and_are_counted(items: Scene) -> None:
    items.sql("INSERT INTO items (id, strict, loose, lone) VALUES (3, 'c', 'c', 'a'), (4, 'd', 'd', 'a')")
    spec(items, change("lone"))

    with pytest.raises(StepRefused, match=r"^1 values of public\.items \(lone\) that stand in more than one row"):
        items.up()
