"""update_rows after the parent: a row is set when the row that it points at is, wherever they stand."""

from __future__ import annotations

import pytest
from tests.changes.life import spec, whole_way
from tests.execute.test_kills import POINTS, run_until_complete
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.execute import StepRefused

# Children stand before their parents and after them, in blocks far apart; 3 is its own parent, 4 has none left.
SCHEMA = """
CREATE TABLE categories (id int PRIMARY KEY, parent_id int, slug text NOT NULL, path text, n int, filler text);
INSERT INTO categories SELECT i, i / 2, 's' || i, NULL, 1, repeat('x', 700) FROM generate_series(200, 10, -1) AS i;
INSERT INTO categories SELECT i, i / 2, 's' || i, NULL, 1, '' FROM generate_series(5, 9) AS i;
INSERT INTO categories VALUES (1, NULL, 's1'), (2, 1, 's2'), (3, 3, 's3'), (4, 99999, 's4')"""
CHANGE = (
    "update_rows: {table: categories, parent: {parent_id: id},"
    " set: {path: \"coalesce(parent.path || '/', '') || slug\"}}"
)
WRONG = """
SELECT count(*) FROM categories AS c LEFT JOIN categories AS p ON p.id = c.parent_id AND p.id <> c.id
 WHERE c.path IS DISTINCT FROM coalesce(p.path || '/', '') || c.slug"""


def test_each_row_is_made_of_its_parents_and_back(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, CHANGE, more="backfill: {target: 1ms}\n")

    assert lived.scene.one(WRONG) == 0
    assert lived.scene.one("SELECT path FROM categories WHERE id = 200") == "s3/s6/s12/s25/s50/s100/s200"

    lived.scene.rollback()
    assert lived.scene.one("SELECT count(*) FROM categories WHERE path IS NOT NULL") == 0


def test_rows_need_not_wait_for_parents_that_are_not_set(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql("UPDATE categories SET path = 'given' WHERE id = 6")
    spec(scene, CHANGE.replace("parent:", "where: path IS NULL, parent:"))

    scene.up()

    assert scene.one("SELECT path FROM categories WHERE id = 13") == "given/s13"


def test_rows_that_are_above_themselves_are_counted_and_set_when_that_is_mended(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql("UPDATE categories SET parent_id = 100 WHERE id = 50")
    spec(scene, CHANGE)

    with pytest.raises(StepRefused, match=r"^4 rows that are above themselves, or below such a one"):
        scene.up()
    assert scene.sql("SELECT id FROM categories WHERE path IS NULL ORDER BY id") == [(50,), (100,), (101,), (200,)]

    scene.sql("UPDATE categories SET parent_id = 25 WHERE id = 50")
    assert scene.up().ended == "complete"
    assert scene.one(WRONG) == 0


def test_a_row_that_cannot_be_set_holds_up_those_below_it_until_it_is_mended(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql("UPDATE categories SET slug = '' WHERE id = 100")
    spec(scene, CHANGE.replace("|| slug", "|| slug || left(slug, 1 / length(slug) - 1)"))

    with pytest.raises(StepRefused, match=r"^1 rows that could not be set"):
        scene.up()
    assert scene.sql("SELECT id FROM categories WHERE path IS NULL ORDER BY id") == [(100,), (200,)]

    scene.sql("UPDATE categories SET slug = 's' WHERE id = 100")
    assert scene.up().ended == "complete"
    assert scene.one("SELECT count(*) FROM categories WHERE path IS NULL") == 0


def test_who_writes_a_parent_is_waited_for(scene: Scene) -> None:
    """He moves what is below it by its path, and would miss a child without one."""
    scene.sql(SCHEMA)
    scene.sql("UPDATE categories SET path = 'root' WHERE id = 1")
    spec(scene, CHANGE.replace("parent:", "where: id = 2, parent:"), more="locks: {budget: 2s}\n")

    with scene.connect() as application:
        application.execute("BEGIN; UPDATE categories SET path = 'moved' WHERE id = 1")
        with pytest.raises(StepRefused, match="1 rows are held by other sessions"):
            scene.up()
        application.execute("COMMIT")
    scene.up()

    assert scene.one("SELECT path FROM categories WHERE id = 2") == "moved/s2"


def test_a_runner_that_is_killed_sets_each_row_once(scene: Scene) -> None:
    scene.sql(SCHEMA)
    change = CHANGE.replace("set: {", 'set: {n: "n + 1", ')
    spec(scene, change, more="backfill: {target: 1ms}\n")

    kills = run_until_complete(scene, [f"{point}:{count}" for point in POINTS for count in (3, 7)])

    assert kills >= 4
    assert scene.one(WRONG) == 0
    assert scene.one("SELECT count(*) FROM categories WHERE n <> 2 AND id > 4") == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (CHANGE.replace("{parent_id: id}", "{parent_id: n}"), r"n of public\.categories is not unique"),
        (CHANGE.replace("{parent_id: id}", "{slug: id}"), "slug is text, id is integer"),
        (CHANGE.replace("parent.path", "parent.pth"), "parent.pth|_cf_|does not exist"),
    ],
)
def test_it_is_refused_where_a_row_has_no_one_parent(scene: Scene, change: str, said: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, change)

    with pytest.raises(Refused, match=said):
        scene.up()
