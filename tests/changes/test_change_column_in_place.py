"""change_column where no value changes: done in place, by the catalog and proved rules."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
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
