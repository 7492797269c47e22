"""create_table: a table with its rules; and dropped again."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

TEAMS = "CREATE TABLE teams (id int PRIMARY KEY, code text UNIQUE); INSERT INTO teams VALUES (1, 'a')"
ITEMS = """create_table:
      table: items
      columns:
        - {name: id, type: bigint, identity: true}
        - {name: userName, type: varchar(20), nullable: false, default: "'it''s'", comment: who}
        - {name: team_id, type: int, default: 1}
        - {name: parent, type: bigint}
        - {name: made, type: timestamptz, default: now(), nullable: false}
        - {name: tags, type: 'text[]'}
      primary_key: [id]
      unique: [[userName, team_id], [made]]
      checks: {not_empty: '"userName" <> ''items''', pos: id > 0}
      foreign_keys:
        of_team: {columns: [team_id], references: {table: teams}, on_delete: cascade}
        of_parent: {columns: [parent], references: {table: items}, deferrable: true}
      comment: things
"""


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(TEAMS, ITEMS)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("    id bigint", "id bigint NOT NULL"),
        ('userName" c', "\"userName\" character varying(20) DEFAULT 'it''s'::character varying NOT NULL"),
        ("    team_id", "team_id integer DEFAULT 1"),
        ("    made", "made timestamp with time zone DEFAULT now() NOT NULL"),
        ("    tags", "tags text[]"),
        ("items_pkey", "ADD CONSTRAINT items_pkey PRIMARY KEY (id)"),
        ("_made_key", "ADD CONSTRAINT items_made_key UNIQUE (made)"),
        ("CONSTRAINT not_empty", "CONSTRAINT not_empty CHECK (((\"userName\")::text <> 'items'::text))"),
        ("of_team", "ADD CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES public.teams(id) ON DELETE CASCADE"),
        ("of_parent", "ADD CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES public.items(id) DEFERRABLE"),
        ("ON TABLE public.items IS", "COMMENT ON TABLE public.items IS 'things'"),
        ("ON COLUMN", "COMMENT ON COLUMN public.items.\"userName\" IS 'who'"),
    ],
)
def test_the_table_is_made_as_it_is_said(lived: Lived, word: str, line: str) -> None:
    assert line in lived.lines(word)


def test_its_identity_gives_numbers(lived: Lived) -> None:
    assert lived.scene.sql("INSERT INTO items DEFAULT VALUES RETURNING id, team_id") == [(1, 1)]


def test_the_new_version_may_use_it_when_expand_has_ended(scene: Scene) -> None:
    scene.sql(TEAMS)
    spec(scene, ITEMS)

    scene.up(through="expand")

    scene.sql("INSERT INTO items (\"userName\") VALUES ('a')")


def test_a_table_in_another_schema_is_named_with_it(scene: Scene) -> None:
    scene.sql("CREATE SCHEMA billing")
    spec(
        scene,
        "create_table: {table: billing.items, columns: [{name: id, type: int, comment: c}], checks: {pos: id > 0},"
        " comment: t}",
    )

    scene.up()

    assert "CREATE TABLE billing.items (" in scene.schema()
    assert "COMMENT ON COLUMN billing.items.id IS 'c';" in scene.schema()
