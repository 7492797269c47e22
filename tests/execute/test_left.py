"""Nothing that the plan does not know goes with an old column, and what was carried is there at the end."""

from __future__ import annotations

import pytest
from tests.scene import Scene

from crossfade.execute import StepRefused

ITEMS = """
CREATE TABLE items (id int PRIMARY KEY, size text, tag text);
CREATE INDEX items_size ON items (size);
INSERT INTO items VALUES (1, '1', 'a')"""
SWAP = """
changes:
  - change_column: {table: items, column: size, to: {type: integer}, up: "size::integer", down: "size::text"}
"""


@pytest.mark.parametrize(
    ("made", "dropped"),
    [
        ("CREATE INDEX later ON items (lower(size))", "DROP INDEX later"),
        ("ALTER TABLE items ADD CONSTRAINT later CHECK (size <> 'x')", "ALTER TABLE items DROP CONSTRAINT later"),
        ("CREATE STATISTICS later ON size, tag FROM items", "DROP STATISTICS later"),
    ],
    ids=["an index", "a constraint", "statistics"],
)
def test_what_was_made_over_a_column_since_planning_does_not_go_with_it_unseen(
    scene: Scene, made: str, dropped: str
) -> None:
    scene.sql(ITEMS)
    scene.spec(SWAP)
    scene.up(through="expand")
    scene.sql(made)

    with pytest.raises(StepRefused, match="1 indexes, constraints or statistics that would go") as refused:
        scene.up()

    assert refused.value.fix is not None
    assert scene.sql(refused.value.fix.partition("find them: ")[2]) == [("later",)]
    scene.sql(dropped)
    assert scene.up().ended == "complete"


def test_a_carried_index_that_is_gone_is_missed_before_the_old_one_goes(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(SWAP)
    scene.up(through="cutover")
    scene.sql("DROP INDEX items_size")

    with pytest.raises(StepRefused, match="1 indexes or constraints missing"):
        scene.up()

    scene.sql("CREATE INDEX items_size ON items (size)")
    assert scene.up().ended == "complete"


@pytest.mark.parametrize(
    ("altered", "back", "said"),
    [
        ("SET NOT NULL", "ALTER TABLE items ALTER size DROP NOT NULL", "NOT NULL"),
        ("SET DEFAULT '7'", "ALTER TABLE items ALTER size SET DEFAULT '5'", "default"),
        ("DROP DEFAULT", "ALTER TABLE items ALTER size SET DEFAULT '5'", "default"),
        (None, "COMMENT ON COLUMN items.size IS 'in cm'", "comment"),
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        SWAP.replace("integer}", "integer, default: null}"),
        "changes: [{rename_column: {table: items, from: size, to: width}}]\n",
    ],
    ids=["swap", "rename"],
)
def test_what_an_old_column_was_given_since_planning_does_not_go_with_it_unseen(
    scene: Scene, change: str, altered: str | None, back: str, said: str
) -> None:
    scene.sql(ITEMS)
    scene.sql("ALTER TABLE items ALTER size SET DEFAULT '5'; COMMENT ON COLUMN items.size IS 'in cm'")
    scene.spec(change)
    scene.up(through="validate")
    scene.sql(f"ALTER TABLE items ALTER size {altered}" if altered else "COMMENT ON COLUMN items.size IS 'in mm'")

    with pytest.raises(StepRefused, match=f"1 old columns with another {said} than planned"):
        scene.up()

    scene.sql(back)
    assert scene.up().ended == "complete"
