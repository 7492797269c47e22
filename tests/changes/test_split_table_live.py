"""split_table under clients of both versions, with rows held, runners killed, and the way back from every phase."""

from __future__ import annotations

import random
import threading
import time
from itertools import count
from typing import Any

import psycopg
import pytest
from tests.changes.life import rows, spec
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import Notice, Retrying, Runner, StepRefused
from crossfade.execute.notice import StepStarted

USERS = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, mail text NOT NULL UNIQUE, bio text, plan int DEFAULT 1);
INSERT INTO users SELECT i, 'N' || i, 'm' || i, CASE WHEN i % 3 > 0 THEN 'b' || i END, i % 5
  FROM generate_series(1, 2000) AS i"""
SPLIT = "split_table: {table: users, columns: [mail, bio, plan], into: profiles, key: {id: user_id}}"
AS_NEW = "SELECT id, name, mail, bio, plan FROM users JOIN profiles ON user_id = id ORDER BY id"

App = psycopg.Connection[Any]


class Clients:
    """What clients of both versions write: `bio` of a row the old ones alone, `plan` the new ones, so that all of it
    can be told in the end. They lock rows as their own version does: no two of them deadlock by themselves.
    """

    def __init__(self) -> None:
        self.bio: dict[int, str | None] = {}
        self.plan: dict[int, int] = {}
        self.made: dict[int, tuple[str, str | None, int]] = {}
        self.gone: set[int] = set()
        self._lock = threading.Lock()
        self._fresh = count(10_001)

    def old(self, app: App, dice: random.Random, _number: int) -> None:
        match dice.randrange(4):
            case 0:
                key = next(self._fresh)
                app.execute("INSERT INTO users VALUES (%s, 'O', %s, 'old', 7)", (key, f"m{key}"))
                self.made[key] = (f"m{key}", "old", 7)
            case 1:
                key = dice.randrange(1901, 2001)
                app.execute("DELETE FROM users WHERE id = %s", (key,))
                self.gone.add(key)
            case _:
                key, value = dice.randrange(1, 40), f"b{dice.random()}"
                with self._lock, app.transaction():  # what is written last is remembered last
                    app.execute("UPDATE users SET bio = %s, name = name WHERE id = %s", (value, key))
                    self.bio[key] = value

    def new(self, app: App, dice: random.Random, _number: int) -> None:
        match dice.randrange(4):
            case 0:
                key = next(self._fresh)
                with app.transaction():
                    app.execute("INSERT INTO users (id, name) VALUES (%s, 'N')", (key,))
                    app.execute("INSERT INTO profiles (user_id, mail, plan) VALUES (%s, %s, 3)", (key, f"m{key}"))
                self.made[key] = (f"m{key}", None, 3)
            case 1:
                key = next(self._fresh)  # each statement by itself
                app.execute("INSERT INTO users (id, name) VALUES (%s, 'N')", (key,))
                app.execute(
                    "INSERT INTO profiles (user_id, mail, bio, plan) VALUES (%s, %s, 'new', 4)"
                    " ON CONFLICT (user_id) DO NOTHING",
                    (key, f"m{key}"),
                )
                self.made[key] = (f"m{key}", "new", 4)
            case _:
                key = dice.randrange(1, 40)
                with app.transaction():
                    if dice.random() < 0.5:
                        app.execute("UPDATE users SET name = 'N' WHERE id = %s", (key,))
                    value = dice.randrange(1000)
                    done = app.execute("UPDATE profiles SET plan = %s WHERE user_id = %s", (value, key))
                    if done.rowcount:
                        self.plan[key] = value

    def expected(self) -> dict[int, tuple[str, str | None, int]]:
        found = {i: (f"m{i}", f"b{i}" if i % 3 else None, i % 5) for i in range(1, 2001)} | self.made
        for key, value in self.bio.items():
            found[key] = (found[key][0], value, found[key][2])
        for key, plan in self.plan.items():
            found[key] = (*found[key][:2], plan)
        return {key: value for key, value in found.items() if key not in self.gone}


def test_no_statement_of_either_version_fails_and_no_write_is_lost(scene: Scene) -> None:
    scene.sql(USERS)
    spec(scene, SPLIT, more="backfill: {target: 20ms}\n")
    clients = Clients()

    scene.up(through="expand")
    with Writers(scene.connect, clients.old, clients.old, clients.new) as both:
        scene.up(through="validate")
        time.sleep(0.5)
    with Writers(scene.connect, clients.new) as alone:
        assert scene.up().ended == "complete"

    assert (both.failures, alone.failures) == ([], [])
    assert both.statements > 50
    assert {key: tuple(rest) for key, _, *rest in scene.sql(AS_NEW)} == clients.expected()
    assert scene.one("SELECT count(*) FROM users") == scene.one("SELECT count(*) FROM profiles")
    assert scene.own_objects() == []


ALL = "SELECT u.id, u.mail, p.mail, u.bio, p.bio FROM users AS u FULL JOIN profiles AS p ON user_id = id ORDER BY 1"
AGREE = "SELECT count(*) FROM users FULL JOIN profiles AS p ON user_id = id WHERE users.bio IS DISTINCT FROM p.bio"


@pytest.fixture
def split(scene: Scene) -> Scene:
    """Two rows, and both tables in step."""
    scene.sql(USERS.replace("2000", "2"))
    spec(scene, SPLIT)
    scene.up(through="validate")
    return scene


def test_who_holds_one_row_and_wants_the_other_is_not_ended_for_a_deadlock(split: Scene) -> None:
    with split.connect() as parent_first, split.connect() as child_alone:
        parent_first.execute("BEGIN")
        parent_first.execute("UPDATE users SET name = 'x' WHERE id = 1")
        child_alone.execute("BEGIN")
        child_alone.execute("SELECT FROM profiles WHERE user_id = 1 FOR UPDATE")
        waits = threading.Thread(
            target=lambda: parent_first.execute("UPDATE profiles SET plan = 9 WHERE user_id = 1"), daemon=True
        )
        waits.start()
        time.sleep(0.5)

        child_alone.execute("UPDATE profiles SET bio = 'late' WHERE user_id = 1")  # its trigger wants the user's row
        time.sleep(1)
        child_alone.execute("COMMIT")
        waits.join(timeout=10)
        parent_first.execute("COMMIT")

    assert not waits.is_alive()
    assert split.sql("SELECT bio, plan FROM users WHERE id = 1") == [("late", 9)]
    assert split.sql("SELECT bio, plan FROM profiles WHERE user_id = 1") == [("late", 9)]
    assert split.ledger().count_conflicts("m", most=10) == 0


def test_a_write_whose_other_row_stays_held_goes_on_alone_and_is_carried_before_contract(split: Scene) -> None:
    with split.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM profiles WHERE user_id = 1 FOR UPDATE")
        split.sql("UPDATE users SET bio = 'alone' WHERE id = 1")
    assert split.one(AGREE) == 1
    assert split.ledger().count_conflicts("m", most=10) == 1

    assert split.up().ended == "complete"

    assert split.one("SELECT bio FROM profiles WHERE user_id = 1") == "alone"


PROVE = "prove that public.users and public.profiles hold the same"


class Held:
    """When a step begins somebody holds a row, and an old client writes its like; until the runner notices it."""

    def __init__(self, split: Scene, step: str, *, lets_go: bool = True) -> None:
        self._split, self._step, self._lets_go = split, step, lets_go
        self._holder = split.connect()
        self.noticed: list[Retrying] = []

    def __call__(self, notice: Notice) -> None:
        if isinstance(notice, StepStarted) and notice.step.title.startswith(self._step):
            self._holder.execute("BEGIN; SELECT FROM profiles WHERE user_id = 1 FOR UPDATE")
            self._split.sql("UPDATE users SET bio = 'alone' WHERE id = 1")
        if isinstance(notice, Retrying):
            self.noticed.append(notice)
            if self._lets_go:
                self._holder.rollback()


def test_contract_waits_for_a_row_that_somebody_holds(split: Scene) -> None:
    held = Held(split, PROVE)

    assert Runner(split.project(), held).advance(split.migration()).ended == "complete"

    assert held.noticed[0].reason.startswith("1 rows whose like in another table somebody holds")
    assert split.one("SELECT bio FROM profiles WHERE user_id = 1") == "alone"


def test_a_row_held_since_both_sides_were_compared_is_carried_in_the_turn(split: Scene) -> None:
    held = Held(split, "let the new shape of public.users take over")

    assert Runner(split.project(), held).advance(split.migration()).ended == "complete"

    assert held.noticed[0].reason == "the lock was not free"
    assert split.one("SELECT bio FROM profiles WHERE user_id = 1") == "alone"


def test_contract_is_refused_when_a_row_is_held_for_longer_than_the_lock_budget(scene: Scene) -> None:
    scene.sql(USERS.replace("2000", "2"))
    spec(scene, SPLIT, more="locks: {budget: 1s}\n")
    held = Held(scene, PROVE, lets_go=False)

    with pytest.raises(StepRefused, match=r"1 rows whose like .* holds") as refused:
        Runner(scene.project(), held).advance(scene.migration(), through="validate")

    assert "end the transactions that hold them" in str(refused.value.fix)


def test_each_column_that_both_sides_wrote_while_the_other_was_held_is_carried_from_where_it_was_written(
    split: Scene,
) -> None:
    with split.connect() as old, split.connect() as new:
        old.execute("BEGIN")
        new.execute("BEGIN")
        new.execute("SELECT FROM profiles WHERE user_id = 1 FOR UPDATE")
        old.execute("UPDATE users SET bio = 'old' WHERE id = 1")
        new.execute("UPDATE profiles SET plan = 8 WHERE user_id = 1")
        old.execute("COMMIT")
        new.execute("COMMIT")

    assert split.sql("SELECT bio, plan FROM users WHERE id = 1") == [("old", 8)]
    assert split.sql("SELECT bio, plan FROM profiles WHERE user_id = 1") == [("old", 8)]
    assert split.ledger().count_conflicts("m", most=10) == 0


def test_a_later_write_of_the_other_side_wins_over_one_that_was_not_carried_yet(split: Scene) -> None:
    with split.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM profiles WHERE user_id = 1 FOR UPDATE")
        split.sql("UPDATE users SET bio = 'first', plan = 6 WHERE id = 1")

    split.sql("UPDATE profiles SET bio = 'second' WHERE user_id = 1")

    assert split.sql("SELECT bio, plan FROM users WHERE id = 1") == [("second", 6)]
    assert split.sql("SELECT bio, plan FROM profiles WHERE user_id = 1") == [("second", 6)]


def test_a_write_that_the_other_table_refuses_does_not_fail_and_holds_contract_up(split: Scene) -> None:
    split.sql("ALTER TABLE profiles ADD CONSTRAINT short CHECK (length(bio) < 5) NOT VALID")

    split.sql("UPDATE users SET bio = 'too long' WHERE id = 1")
    with pytest.raises(Exception, match="in conflict"):
        split.up()
    split.sql("UPDATE users SET bio = 'ok' WHERE id = 1")

    assert split.up().ended == "complete"
    assert split.one("SELECT bio FROM profiles WHERE user_id = 1") == "ok"


def test_a_writer_of_one_table_needs_no_right_on_the_other(split: Scene) -> None:
    split.sql("DROP ROLE IF EXISTS half_a; CREATE ROLE half_a")
    split.sql("REVOKE ALL ON profiles FROM PUBLIC; GRANT SELECT, UPDATE, INSERT, DELETE ON users TO half_a")
    split.sql("SET ROLE half_a")

    split.sql("UPDATE users SET bio = 'mine' WHERE id = 1")
    split.sql("INSERT INTO users VALUES (3, 'c', 'm3', 'c', 1)")
    split.sql("DELETE FROM users WHERE id = 2")

    split.sql("RESET ROLE")
    assert split.sql(ALL) == [(1, "m1", "m1", "mine", "mine"), (3, "m3", "m3", "c", "c")]
    split.sql("DROP OWNED BY half_a; DROP ROLE half_a")


def test_what_replication_applies_is_carried_too(split: Scene) -> None:
    split.sql("SET session_replication_role = replica")
    split.sql("UPDATE users SET bio = 'applied' WHERE id = 1")
    split.sql("RESET session_replication_role")

    assert split.one("SELECT bio FROM profiles WHERE user_id = 1") == "applied"


def test_truncate_empties_the_other_side(split: Scene) -> None:
    split.sql(
        "CREATE TABLE log (id int); CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO log VALUES (new.id); RETURN new; END $$;"
        "CREATE TRIGGER logged BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION logged()"
    )
    split.sql("TRUNCATE profiles")
    assert split.one("SELECT count(*) FROM log") == 2
    assert split.sql("SELECT mail, bio, plan FROM users ORDER BY id") == [(None, None, 1), (None, None, 1)]

    split.sql("TRUNCATE users CASCADE")
    assert split.sql(ALL) == []


def test_a_deleted_other_half_leaves_the_old_columns_empty(split: Scene) -> None:
    split.sql("DELETE FROM profiles WHERE user_id = 1")

    assert split.sql("SELECT name, mail, bio, plan FROM users WHERE id = 1") == [("N1", None, None, 1)]


def test_a_row_that_the_new_version_deletes_stays_away_until_it_inserts_it_again(split: Scene) -> None:
    split.sql("DELETE FROM profiles")
    assert split.one("SELECT count(*) FROM profiles") == 0
    split.sql("INSERT INTO profiles (user_id, mail) VALUES (2, 'again')")

    assert split.up().ended == "complete"

    assert split.sql("SELECT user_id, mail, bio FROM profiles") == [(2, "again", None)]


def test_a_delete_by_the_new_version_holds_though_the_other_half_is_held_and_written_then(scene: Scene) -> None:
    scene.sql(USERS.replace("2000", "3"))
    spec(scene, SPLIT.replace("mail, ", ""))
    scene.up(through="validate")
    with scene.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM users FOR NO KEY UPDATE")
        scene.sql("DELETE FROM profiles WHERE user_id < 3")

    scene.sql("UPDATE users SET bio = 'later' WHERE id = 1")

    assert scene.sql("SELECT bio, plan FROM users WHERE id = 1") == [("later", 1)]
    assert scene.up().ended == "complete"
    assert scene.sql("SELECT user_id, bio, plan FROM profiles") == [(3, None, 3), (1, "later", 1)]


def test_a_new_row_with_an_upsert_keeps_what_the_old_version_wrote(split: Scene) -> None:
    split.sql("INSERT INTO profiles (user_id, mail, bio) VALUES (1, 'm1', 'new') ON CONFLICT (user_id) DO NOTHING")

    assert split.one("SELECT bio FROM profiles WHERE user_id = 1") == "b1"


@pytest.mark.parametrize("leg", ["expand", "backfill", "validate", "cutover", "retire", "archive", "drop"])
def test_it_comes_back_whole_from_every_phase(scene: Scene, leg: str) -> None:
    scene.sql(USERS.replace("2000", "50"))
    spec(scene, SPLIT)
    before = scene.schema(), rows(scene)

    scene.up(through=leg)
    scene.rollback()

    assert (scene.schema(), rows(scene)) == before
    assert scene.own_objects() == []


@pytest.mark.parametrize("leg", ["retire", "archive"])
def test_what_the_new_version_wrote_since_is_there_when_it_comes_back(scene: Scene, leg: str) -> None:
    scene.sql(USERS.replace("2000", "3"))
    spec(scene, SPLIT)
    scene.up(through=leg)
    scene.sql("UPDATE profiles SET bio = 'since' WHERE user_id = 1")
    scene.sql("INSERT INTO users (id, name) VALUES (4, 'D')")
    scene.sql("INSERT INTO profiles VALUES (4, 'm4', 'd', 4)")

    scene.rollback()

    assert scene.sql("SELECT id, mail, bio, plan FROM users WHERE id IN (1, 4) ORDER BY 1") == [
        (1, "m1", "since", 1),
        (4, "m4", "d", 4),
    ]


@pytest.mark.parametrize("point", ["before commit", "after commit", "after step"])
def test_a_runner_killed_in_any_phase_ends_as_an_undisturbed_one(scene: Scene, point: str) -> None:
    scene.sql(USERS)
    spec(scene, SPLIT, more="backfill: {target: 20ms}\n")

    kills = run_until_complete(scene, [f"{point}:{count}" for count in (2, 3, 5, 8, 13)])

    assert kills >= 3
    assert {key: tuple(rest) for key, _, *rest in scene.sql(AS_NEW)} == Clients().expected()
    assert scene.own_objects() == []
