"""split_table: columns go to a new table, which is kept in step row by row."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

SCHEMA = """
CREATE TABLE plans (id int PRIMARY KEY);
INSERT INTO plans VALUES (1), (2);
CREATE TABLE users (
  id int PRIMARY KEY,
  name text NOT NULL,
  mail text COLLATE "C" NOT NULL CONSTRAINT users_mail_key UNIQUE,
  bio text DEFAULT 'none' CONSTRAINT users_bio_check CHECK (bio <> ''),
  plan int REFERENCES plans);
COMMENT ON COLUMN users.bio IS 'who they are';
CREATE INDEX users_plan_idx ON users (plan) WHERE plan > 1;
INSERT INTO users VALUES (1, 'Ann', 'ann@x', 'painter', 1), (2, 'Bob', 'bob@x', NULL, NULL)"""
SPLIT = "split_table: {table: users, columns: [mail, bio, plan], into: user_profiles, key: {id: user_id}}"
REFERS = "FOREIGN KEY (user_id) REFERENCES public.users(id)"
BOTH = """
SELECT u.id, p.user_id, u.name, u.mail, p.mail, u.bio, p.bio, u.plan, p.plan
  FROM users AS u FULL JOIN user_profiles AS p ON p.user_id = u.id ORDER BY 1, 2"""


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, SPLIT)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("    mail ", 'mail text NOT NULL COLLATE pg_catalog."C"'),
        ("    bio ", "bio text DEFAULT 'none'::text"),
        ("COMMENT", "COMMENT ON COLUMN public.user_profiles.bio IS 'who they are'"),
        ("mail_key", "ADD CONSTRAINT user_profiles_mail_key UNIQUE (mail)"),
        ("bio_check", "CONSTRAINT user_profiles_bio_check CHECK ((bio <> ''::text))"),
        ("plan_idx", "CREATE INDEX user_profiles_plan_idx ON public.user_profiles USING btree (plan) WHERE (plan > 1)"),
        ("plan_fkey", "ADD CONSTRAINT user_profiles_plan_fkey FOREIGN KEY (plan) REFERENCES public.plans(id)"),
        ("user_id_fkey", f"ADD CONSTRAINT user_profiles_user_id_fkey {REFERS} ON UPDATE CASCADE ON DELETE CASCADE"),
        ("profiles_pkey", "ADD CONSTRAINT user_profiles_pkey PRIMARY KEY (user_id)"),
    ],
)
def test_what_was_on_the_old_columns_is_on_the_new_ones(lived: Lived, word: str, line: str) -> None:
    assert lived.lines(word) == [line]


def test_each_row_has_its_other_half_and_the_columns_are_gone(lived: Lived) -> None:
    assert lived.scene.columns("users") == ["id", "name"]
    assert lived.scene.sql("SELECT * FROM user_profiles ORDER BY 1") == [
        (1, "ann@x", "painter", 1),
        (2, "bob@x", None, None),
    ]


def test_both_versions_insert_update_and_delete(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, SPLIT)
    scene.up(through="validate")

    scene.sql("INSERT INTO users VALUES (3, 'Cy', 'cy@x', 'poet', 2)")
    with scene.connect() as app, app.transaction():
        app.execute("INSERT INTO users (id, name) VALUES (4, 'Di')")
        app.execute("INSERT INTO user_profiles (user_id, mail, plan) VALUES (4, 'di@x', 1)")
    scene.sql("UPDATE users SET bio = 'actor' WHERE id = 1")
    scene.sql("UPDATE user_profiles SET mail = 'bob@y', plan = 2 WHERE user_id = 2")
    scene.sql("DELETE FROM users WHERE id = 3")
    scene.sql("UPDATE users SET id = 5 WHERE id = 2")

    assert scene.sql(BOTH) == [
        (1, 1, "Ann", "ann@x", "ann@x", "actor", "actor", 1, 1),
        (4, 4, "Di", "di@x", "di@x", "none", "none", 1, 1),
        (5, 5, "Bob", "bob@y", "bob@y", None, None, 2, 2),
    ]
    assert scene.up().ended == "complete"


@pytest.mark.parametrize(
    ("more", "split", "said"),
    [
        ("", SPLIT.replace("into: user_profiles", "into: plans"), "public.plans exists already"),
        ("", SPLIT.replace("[mail", "[id, mail"), "id is in the primary key of public.users"),
        ("", SPLIT.replace("{id: user_id}", "{name: user_id}"), "name is not in the primary key of public.users"),
        ("", SPLIT.replace("{id: user_id}", "{id: bio}"), "bio would be twice in public.user_profiles"),
        ("", SPLIT.replace("users,", "hosts,"), "table public.hosts does not exist"),
        ("ALTER TABLE users ENABLE ROW LEVEL SECURITY", SPLIT, "public.users has row security"),
        ("CREATE VIEW seen AS SELECT bio FROM users", SPLIT, "is used by view public.seen"),
        ("CREATE INDEX both_of ON users (bio, name)", SPLIT, "index both_of of public.users is over bio and over name"),
        ("CREATE INDEX user_profiles_plan_idx ON plans (id)", SPLIT, "index user_profiles_plan_idx exists already"),
        ("ALTER TABLE users ADD CHECK (plan > 0) NOT VALID", SPLIT, "of public.users is NOT VALID"),
        ("GRANT SELECT (bio) ON users TO PUBLIC", SPLIT, "has privileges of its own"),
        ("ALTER TABLE users ADD UNIQUE (plan) DEFERRABLE", SPLIT, "is DEFERRABLE INITIALLY IMMEDIATE"),
    ],
)
def test_what_stands_in_the_way_is_refused(scene: Scene, more: str, split: str, said: str) -> None:
    scene.sql(f"{SCHEMA};{more}")
    spec(scene, split)

    with pytest.raises(Exception, match=said):
        scene.up()


def test_the_new_table_has_the_grants_of_the_old_one(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql("GRANT SELECT, INSERT ON users TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT DELETE ON TABLES TO PUBLIC")
    spec(scene, SPLIT)

    scene.up(through="expand")

    old, new = (
        scene.one(f"SELECT relacl::text FROM pg_class WHERE oid = '{t}'::regclass") for t in ("users", "user_profiles")
    )
    assert new == old
