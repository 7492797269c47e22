"""A gate that could not be asked is refused when planning, where it stands; what the migration makes is foreseen."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.changes.life import spec
from tests.scene import Scene
from tests.steps.scenes import shared_scenes

from crossfade.changes import Refused
from crossfade.errors import Problem
from crossfade.server import Server

ADD = "add_column: {table: items, column: extra, type: int}"
DROP = "drop_column: {table: items, column: gone}"
RENAME = "rename_column: {table: items, from: code, to: number}"
RETYPE = "change_column: {table: items, column: code, to: {type: int}}"
CREATE = "create_table: {table: fresh, columns: [{name: id, type: int}]}"
PART = "add_column: {table: parts, column: extra, type: int}"
OWN = "sql: {up: CREATE TABLE own (id int), down: DROP TABLE own}"


class Foreseen:
    """What planning says of one gate."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def at(self, point: str, gate: str, *changes: str) -> tuple[Problem, ...]:
        """The refusals, with the gate in the list of `point`, e.g. `expand before`."""
        phase, moment = point.split()
        spec(self.scene, *(changes or (ADD,)), more=f"gates:\n  {phase}:\n    {moment}:\n      - {gate}\n")
        try:
            self.plan = self.scene.runner().plan(self.scene.migration())
        except Refused as refused:
            return refused.problems
        return ()

    @property
    def doubts(self) -> list[str]:
        return [hazard.what for hazard in self.plan.hazards if hazard.code == "gate-not-foreseen"]

    def suite(self, body: str) -> None:
        (self.scene.root / "validations" / "good_items.yaml").write_text(f"suite: good_items\n{body}")


@pytest.fixture(scope="module")
def foreseen(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Foreseen]:
    with shared_scenes(server, tmp_path_factory) as new_scene:
        scene: Scene = new_scene()
        scene.sql(
            "CREATE TABLE items (id int PRIMARY KEY, code text, gone text);"
            " CREATE TABLE parts (id int) PARTITION BY RANGE (id);"
            " CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9)"
        )
        yield Foreseen(scene)


UNASKABLE = {
    "a misspelt table": ("sql: SELECT count(*) = 0 FROM itms", 'relation "itms" does not exist', "`items`?"),
    "a misspelt column": ("sql: SELECT bool_and(cod <> '') FROM items", 'column "cod" does not exist', "`code`?"),
    "a column of a schema's table": (
        "sql: SELECT bool_and(items.cod <> '') FROM public.items",
        "column items.cod does not exist",
        "`code`?",
    ),
    "a missing function": ("sql: SELECT nope(1)", "function nope(integer) does not exist", ""),
    "a type": ("sql: SELECT id FROM items", "it gives (int4), not one boolean", "write a condition"),
    "two columns": ("sql: 'SELECT true, false'", "it gives (bool, bool), not one boolean", "write a condition"),
    "a literal": ("sql: SELECT bool_and(id = 'a') FROM items", "invalid text representation", ""),
}


@pytest.mark.parametrize(("gate", "what", "fix"), UNASKABLE.values(), ids=UNASKABLE)
def test_a_query_that_postgresql_would_refuse_is_refused_at_its_gate(
    foreseen: Foreseen, gate: str, what: str, fix: str
) -> None:
    (problem,) = foreseen.at("contract before", gate, DROP)

    assert what in problem.what
    assert fix in (problem.fix or "")
    assert problem.where is not None
    assert (problem.where.file.name, problem.where.line, problem.where.column) == ("m.yaml", 10, 9)


def test_up_refuses_it_before_anything_is_written(foreseen: Foreseen) -> None:
    foreseen.at("contract before", "sql: SELECT count(*) = 0 FROM itms", DROP)

    with pytest.raises(Refused, match='relation "itms" does not exist'):
        foreseen.scene.up()

    assert foreseen.scene.one("SELECT to_regnamespace('crossfade') IS NULL")


THERE_BY_THEN = {
    "an added column": ("expand after", "bool_and(extra > 0) FROM items", ADD),
    "a column of its partition": ("expand after", "bool_and(extra > 0) FROM part", PART),
    "under its schema": ("expand after", "bool_and(public.items.extra > 0) FROM public.items", ADD),
    "under an alias": ("expand after", "bool_and(i.extra > 0) FROM items AS i JOIN items AS j USING (id)", ADD),
    "a new name": ("backfill before", "bool_and(number = code) FROM items", RENAME),
    "a new type": ("contract after", "bool_and(code > 0) FROM items", RETYPE),
    "the old type": ("validate after", "bool_and(code > '') FROM items", RETYPE),
    "a new table": ("expand after", "count(*) = 0 FROM fresh", CREATE),
    "a leaving column": ("validate after", "bool_and(gone = code) FROM items", DROP),
    "a key that tells its columns": (
        "expand after",
        "count(*) = 0 FROM (SELECT gone FROM items GROUP BY id) AS i",
        ADD,
    ),
    "a system column": ("expand after", "bool_and(xmin IS NOT NULL) FROM items", ADD),
    "a query of its own by that name": ("expand after", "bool_and(items.x) FROM items", ADD),
}


@pytest.mark.parametrize(("point", "asked", "change"), THERE_BY_THEN.values(), ids=THERE_BY_THEN)
def test_what_is_there_when_the_gate_is_asked_may_be_named(
    foreseen: Foreseen, point: str, asked: str, change: str
) -> None:
    own = "WITH items AS (SELECT true AS x) " if "items.x" in asked else ""

    assert foreseen.at(point, f'sql: "{own}SELECT {asked}"', change) == ()
    assert foreseen.doubts == []


NOT_THEN = {
    "a column to come": ("expand before", "bool_and(extra > 0) FROM items", ADD, "only after"),
    "a table to come": ("expand before", "count(*) = 0 FROM fresh", CREATE, "only after"),
    "a dropped column": ("contract after", "bool_and(gone > '') FROM items", DROP, "takes it away"),
    "a renamed column": ("contract after", "bool_and(code > '') FROM items", RENAME, "takes it away"),
}


@pytest.mark.parametrize(("point", "asked", "change", "why"), NOT_THEN.values(), ids=NOT_THEN)
def test_what_is_not_there_then_is_refused_with_the_reason(
    foreseen: Foreseen, point: str, asked: str, change: str, why: str
) -> None:
    (problem,) = foreseen.at(point, f'sql: "SELECT {asked}"', change)

    assert why in (problem.why or "")


def test_what_a_sql_change_may_make_is_a_hazard_after_it_and_refused_before(foreseen: Foreseen) -> None:
    gate = "sql: SELECT count(*) = 0 FROM own"

    assert foreseen.at("expand after", gate, OWN) == ()
    (doubt,) = foreseen.doubts
    assert doubt.endswith('whether the gate after expand can be asked: relation "own" does not exist (SQLSTATE 42P01)')
    assert len(foreseen.at("expand before", gate, OWN)) == 1


def test_the_ledger_that_is_not_installed_yet_may_be_named(foreseen: Foreseen) -> None:
    assert foreseen.at("backfill after", "sql: SELECT count(*) = 0 FROM crossfade.conflict") == ()
    assert len(foreseen.doubts) == 1


def test_a_suite_of_a_database_that_is_not_named_is_refused(foreseen: Foreseen) -> None:
    foreseen.suite("table: items\ndatabase: elsewhere\n" + EXPECTED.replace("COLUMN", "code"))

    (problem,) = foreseen.at("expand after", "suite: good_items")

    assert problem.what == "`elsewhere` is no database of this project"


EXPECTED = "expectations:\n  - expect_column_values_to_not_be_null: {column: COLUMN}\n"
OF_SUITES = {
    "its column": ("table: items\n" + EXPECTED.replace("COLUMN", "cod"), "has no column cod", 4, "`code`?"),
    "its table": ("table: itms\n" + EXPECTED, 'relation "public.itms" does not exist', 2, "`items`?"),
    "its query": ("query: SELECT cod FROM items\n" + EXPECTED, 'column "cod" does not exist', 2, "`code`?"),
}


@pytest.mark.parametrize(("body", "what", "line", "fix"), OF_SUITES.values(), ids=OF_SUITES)
def test_a_suite_is_refused_where_its_file_is_wrong(
    foreseen: Foreseen, body: str, what: str, line: int, fix: str
) -> None:
    foreseen.suite(body)

    (problem,) = foreseen.at("expand before", "suite: good_items")

    assert what in problem.what
    assert fix in (problem.fix or "")
    assert problem.where is not None
    assert (problem.where.file.name, problem.where.line) == ("good_items.yaml", line)


def test_a_suite_may_name_what_is_there_when_it_is_asked(foreseen: Foreseen) -> None:
    foreseen.suite("table: items\n" + EXPECTED.replace("COLUMN", "extra"))

    assert foreseen.at("backfill after", "suite: good_items") == ()
    assert len(foreseen.at("expand before", "suite: good_items")) == 1


def test_a_suite_without_a_file_is_refused_at_its_gate(foreseen: Foreseen) -> None:
    (problem,) = foreseen.at("expand before", "suite: absent")

    assert problem.what == "there is no suite `absent`"
    assert problem.where is not None
    assert (problem.where.file.name, problem.where.line) == ("m.yaml", 10)


def test_two_gates_of_one_name_at_one_point_are_refused_where_the_second_stands(foreseen: Foreseen) -> None:
    same = "sql: SELECT true AS a_query_so_long_that_what_is_told_of_it_says_nothing_of"

    (problem,) = foreseen.at("expand before", f"{same}_this\n      - {same}_that")

    assert problem.what.startswith("another gate before expand is called `sql SELECT true AS")
    assert str(problem.where).split(":")[1] == "11"
    assert problem.fix == "give one of them a `title`"


def test_a_gate_may_stand_twice_and_two_may_have_one_name_at_different_points(foreseen: Foreseen) -> None:
    assert foreseen.at("expand before", "approval: {count: 1}\n      - approval: {count: 1}") == ()
    both = "sql: SELECT true\n        title: t\n    after:\n      - sql: SELECT 1 = 1\n        title: t"
    assert foreseen.at("expand before", both) == ()
