"""Refused when planning: what does not exist, what exists already, and what stands in a column's way, each by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.changes.refusing import ZOO, refusal
from tests.scene import Scene

from crossfade.changes import Refused


@pytest.fixture(scope="module")
def zoo(shared_scene: Callable[[], Scene]) -> Scene:
    scene = shared_scene()
    scene.sql(ZOO)
    return scene


def to_integer(column: str, table: str = "users") -> str:
    return f"change_column: {{table: {table}, column: {column}, to: {{type: integer}}}}"


MISSING = [
    (
        "add_column: {table: user, column: a, type: text}",
        "table public.user does not exist in database",
        "did you mean users?",
    ),
    (
        "add_column: {table: billing.invoice, column: a, type: text}",
        "table billing.invoice does not",
        "did you mean invoices?",
    ),
    ("add_column: {table: zzz, column: a, type: text}", "table public.zzz does not exist", "has no such table"),
    (to_integer("emial"), "column emial does not exist in public.users", "did you mean email? columns here: id, email"),
    (to_integer("camelcase"), "column camelcase does not exist", "did you mean camelCase?"),
    ("drop_column: {table: users, column: zzz}", "column zzz does not exist in public.users", "columns here: id, "),
    ("rename_column: {table: users, from: nam, to: a}", "column nam does not exist", "did you mean name?"),
    ("update_rows: {table: users, set: {nam: \"'x'\"}}", "column nam does not exist", "did you mean name?"),
    ("create_index: {table: users, name: i, columns: [nam]}", "column nam does not exist", "did you mean name?"),
    (
        "create_index: {table: users, name: i, columns: [name], include: [ag]}",
        "column ag does not exist",
        "did you mean age?",
    ),
    ("add_constraint: {table: users, name: c, unique: [nam]}", "column nam does not exist", "did you mean name?"),
    ("drop_index: {index: zzz}", "index zzz does not exist in schema public", None),
    ("add_column: {table: users, column: a, type: txt}", 'type txt: type "txt" does not exist', None),
    ("add_column: {table: users, column: a, type: serial}", "serial is no type of its own", "use identity: true"),
]


@pytest.mark.parametrize(("change", "what", "fix"), MISSING, ids=[case[1] for case in MISSING])
def test_what_does_not_exist_is_refused_with_the_nearest_name(
    zoo: Scene, change: str, what: str, fix: str | None
) -> None:
    (problem,) = refusal(zoo, change)

    assert problem.what.startswith(what)
    assert fix is None or fix in (problem.fix or "")


EXISTING = [
    ("add_column: {table: users, column: name, type: text}", "column name exists already in public.users"),
    ("rename_column: {table: users, from: name, to: email}", "column email exists already in public.users"),
    ("create_table: {table: users, columns: [{name: id, type: int}]}", "public.users exists already"),
    ("create_table: {table: some_view, columns: [{name: id, type: int}]}", "public.some_view exists already"),
    ("create_index: {table: users, name: by_age, columns: [name]}", "an index by_age exists already"),
    ("create_index: {table: users, name: orders, columns: [name]}", "a relation public.orders exists already"),
    (
        "add_constraint: {table: users, name: users_age_check, check: age > 1}",
        "constraint users_age_check exists already",
    ),
    ("change_column: {table: users, column: age, to: {check: age > 1}}", "constraint users_age_check exists already"),
]


@pytest.mark.parametrize(("change", "what"), EXISTING, ids=[case[1] for case in EXISTING])
def test_what_exists_already_is_refused(zoo: Scene, change: str, what: str) -> None:
    (problem,) = refusal(zoo, change)

    assert problem.what.startswith(what)


DEPENDENTS = [
    ("watched", "materialized view public.some_matview", "would keep everybody waiting"),
    ("generating", "generated column made", "rewrites the table"),
    ("called", "function public.some_function()", "names the column itself"),
]
FOLLOWING = [
    ("sampled", "statistics public.some_statistics"),
    ("viewed", "view public.some_view"),
    ("guarded", "policy some_policy on public.users"),
    ("triggering", "trigger A_watch"),
    ("ruled", "rule some_rule on public.users"),
]


@pytest.mark.parametrize(("column", "named", "why"), DEPENDENTS, ids=[case[0] for case in DEPENDENTS])
@pytest.mark.parametrize("change", ["drop", "rename", "change"])
def test_what_depends_on_the_column_is_refused_by_name(
    zoo: Scene, change: str, column: str, named: str, why: str
) -> None:
    body = {
        "drop": f"drop_column: {{table: users, column: {column}}}",
        "rename": f"rename_column: {{table: users, from: {column}, to: b}}",
        "change": to_integer(column),
    }
    (problem,) = refusal(zoo, body[change])

    assert problem.what.startswith(f"public.users ({column}) is used by {named}")
    assert problem.why is not None
    assert why in problem.why
    assert problem.fix is not None
    assert "again after" in problem.fix


@pytest.mark.parametrize(("column", "named"), FOLLOWING, ids=[case[0] for case in FOLLOWING])
def test_what_could_follow_a_column_is_refused_where_none_takes_its_place(zoo: Scene, column: str, named: str) -> None:
    (problem,) = refusal(zoo, f"drop_column: {{table: users, column: {column}}}")

    assert problem.what.startswith(f"public.users ({column}) is used by {named}")


IN_THE_WAY = [
    (to_integer("id").replace("integer", "bigint"), "id is in the primary key"),
    ("rename_column: {table: orders, from: id, to: b}", "id is in the primary key"),
    ("rename_column: {table: booked, from: during, to: b}", "during is in the exclusion constraint"),
    (
        to_integer("referenced"),
        "public.users (referenced) is used by foreign key orders_user_ref_fkey on public.orders",
    ),
    (
        "rename_column: {table: users, from: referenced, to: b}",
        "public.users (referenced) is used by foreign key orders",
    ),
    (
        to_integer("number").replace("integer", "bigint"),
        "public.users.number is an identity column, with a sequence of its own",
    ),
    (to_integer("counter").replace("integer", "bigint"), "public.users.counter has a sequence of its own"),
    (to_integer("shout"), "public.users.shout is a generated column"),
    ("drop_column: {table: users, column: shout}", "public.users.shout is a generated column"),
    ("create_index: {table: some_view, name: i, columns: [name]}", "public.some_view is a view, and a table is wanted"),
    ("change_column: {table: users, column: shout, to: {default: '1'}}", "public.users.shout is a generated column"),
    ("drop_column: {table: users, column: number}", "public.users.number is an identity column"),
    (to_integer("identifying"), "identity_index is the replica identity of public.users"),
    (to_integer("granted"), "public.users.granted has privileges of its own"),
    (to_integer("id", "parts").replace("integer", "bigint"), "id is in the primary key"),
    (to_integer("code", "parts"), "index part_codes of public.parts reads code, and public.parts is partitioned"),
    (to_integer("code", "part"), "public.part is a partition of public.parts"),
    (to_integer("a", "parent"), "public.parent is part of an inheritance tree: public.child inherits from it"),
    (to_integer("a", "child"), "public.child is part of an inheritance tree: it inherits from public.parent"),
    ("add_column: {table: part, column: a, type: text}", "public.part is a partition of public.parts"),
    (to_integer("code", "tidied"), "trigger tidy of public.tidied assigns code after the sync trigger"),
    ("add_column: {table: tidied, column: a, type: text, up: code}", "trigger tidy of public.tidied assigns code"),
    (to_integer("code", "loud"), "trigger always of public.loud would fire for every row that is filled"),
    (to_integer("code", "both"), "trigger replica of public.both would fire for every row that is filled"),
    (
        "update_rows: {table: both, set: {code: lower(code)}}",
        "trigger replica of public.both would fire for every row that is set",
    ),
    (
        "update_rows: {table: loud, set: {code: lower(code)}}",
        "trigger always of public.loud would fire for every row that is set",
    ),
    (
        "change_column: {table: users, column: age, to: {comment: years}, enforce: contract}",
        "`enforce: contract` on public.users.age, which gets no new rule",
    ),
    (
        'change_column: {table: users, column: "camelCase", to: {type: integer}, enforce: validate}',
        "`enforce: validate` on public.users.camelCase, which gets no new rule",
    ),
    ("drop_column: {table: users, column: email}", "public.users.email is NOT NULL without a default"),
    ("add_column: {table: users, column: a, type: int, nullable: false}", "public.users.a is to be NOT NULL"),
    ("change_column: {table: orders, column: id, to: {nullable: true}}", "id is in the primary key of public.orders"),
    ("add_column: {table: users, column: a, type: positive}", "type public.positive is a domain with rules"),
    (
        "change_column: {table: orders, column: amount, to: {type: positive}}",
        "type public.positive is a domain with rules",
    ),
    ("update_rows: {table: keyless, set: {a: b}}", "public.keyless has no primary key or unique NOT NULL index"),
    ("update_rows: {table: users, set: {id: id + 1}}", "id is in the key of public.users"),
    ("update_rows: {table: users, set: {shout: name}}", "public.users.shout is a generated column"),
    ("update_rows: {table: parent, set: {a: a}}", "public.parent is part of an inheritance tree"),
    ("add_constraint: {table: parts, name: c, unique: [code]}", "public.parts is partitioned by id, which is not in"),
    ("drop_index: {index: users_pkey}", "index users_pkey belongs to a constraint"),
    ("drop_index: {index: identity_index}", "index identity_index belongs to the replica identity"),
]


@pytest.mark.parametrize(("change", "what"), IN_THE_WAY, ids=[case[0] for case in IN_THE_WAY])
def test_what_stands_in_the_way_is_refused(zoo: Scene, change: str, what: str) -> None:
    (problem,) = refusal(zoo, change)

    assert problem.what.startswith(what)
    assert problem.why or problem.fix


FOREIGN_KEYS = [
    ("{columns: [user_ref], references: {table: users, columns: [name]}}", "public.users (name) has no unique index"),
    ("{columns: [user_ref], references: {table: keyless}}", "public.keyless has no primary key"),
    ("{columns: [user_ref, amount], references: {table: users}}", "2 columns reference 1 of public.users"),
    ("{columns: [user_ref], references: {table: users, columns: [nam]}}", "column nam does not exist in public.users"),
]


@pytest.mark.parametrize(("key", "what"), FOREIGN_KEYS, ids=[case[1] for case in FOREIGN_KEYS])
def test_a_foreign_key_without_a_key_to_point_at_is_refused(zoo: Scene, key: str, what: str) -> None:
    (problem,) = refusal(zoo, f"add_constraint: {{table: orders, name: c, foreign_key: {key}}}")

    assert problem.what == what


def test_every_problem_of_a_spec_is_said_at_once_and_where_it_stands(zoo: Scene) -> None:
    first, second = refusal(
        zoo, to_integer("emial"), "add_column: {table: users, column: ok, type: text}", to_integer("watched")
    )

    assert first.where is not None
    assert second.where is not None
    assert (first.where.file.name, first.where.line, first.where.column) == ("m.yaml", 6, 43)
    assert second.where.line == 8


def test_a_column_that_another_migration_goes_on_keeping_in_step_is_refused(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text, other text)")
    scene.spec("changes: [{rename_column: {table: items, from: code, to: number}}]\ncontract: {stages: [retire: {}]}\n")
    assert scene.up().ended == "complete"

    def said(column: str) -> str:
        scene.spec(f"changes: [{{rename_column: {{table: items, from: {column}, to: later}}}}]\n", id="n")
        try:
            scene.runner().plan(scene.migration("n"))
        except Refused as refused:
            return refused.what
        return "nothing"

    assert said("number").startswith("number of public.items is kept in step by _cf_m_items_")
    assert said("other") == "nothing"


PLACES = {
    "table": "add_column: {table: HERE, column: extra, type: text}",
    "column": "drop_column: {table: users, column: HERE}",
    "from": "rename_column: {table: users, from: HERE, to: number2}",
    "type": "add_column: {table: users, column: extra, type: HERE}",
    "to type": "change_column: {table: users, column: age, to: {type: HERE}}",
    "up": "add_column: {table: users, column: extra, type: text, up: HERE}",
    "down": "add_column: {table: users, column: extra, type: text, up: name, down: {name: HERE}}",
    "a column of down": "add_column: {table: users, column: extra, type: text, up: name, down: {emial: HERE}}",
    "check": "add_constraint: {table: users, name: c, check: HERE}",
    "set": "update_rows: {table: users, set: {name: HERE}}",
    "where": "update_rows: {table: users, set: {name: name}, where: HERE}",
    "the default of a new table's column": "create_table: {table: t, columns: [{name: i, type: int, default: HERE}]}",
    "the type of a new table's column": "create_table: {table: t, columns: [{name: i, type: HERE}]}",
    "the check of a new table": "create_table: {table: t, columns: [{name: i, type: int}], checks: {c: HERE}}",
    "the where of an index": "create_index: {table: users, name: i, columns: [name], where: HERE}",
}


@pytest.mark.parametrize("change", PLACES.values(), ids=PLACES)
def test_a_refusal_points_at_the_value_that_is_wrong(zoo: Scene, change: str) -> None:
    (problem,) = refusal(zoo, change.replace("HERE", "emial"))

    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (6, len("  - ") + change.index("HERE") + 1)


def test_a_refusal_of_the_change_as_a_whole_points_at_its_kind(zoo: Scene) -> None:
    (problem,) = refusal(zoo, "drop_column: {table: users, column: email}")

    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (6, 5)


NEAREST = {
    "a column in an expression": (
        "add_column: {table: users, column: extra, type: text, up: lower(emial)}",
        "`email`?",
    ),
    "a column of a table alone": ("add_constraint: {table: users, name: c, check: users.ag > 0}", "`age`?"),
    "a type": ("add_column: {table: users, column: extra, type: intger}", "`integer`?"),
    "a type like no other": ("add_column: {table: users, column: extra, type: zzzzz}", "create the type first"),
}


@pytest.mark.parametrize(("change", "fix"), NEAREST.values(), ids=NEAREST)
def test_a_name_that_is_not_there_is_refused_with_what_was_meant(zoo: Scene, change: str, fix: str) -> None:
    (problem,) = refusal(zoo, change)

    assert fix in (problem.fix or "")
