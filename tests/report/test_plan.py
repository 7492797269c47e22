"""A plan for people: complete, the same in every form, and honest about what it assumes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import psycopg
import pytest
from rich.console import Console
from tests.scene import Scene

from crossfade.plan import Plan
from crossfade.report import plan_json, plan_markdown, print_plan, print_summary
from crossfade.report.measures import said_moment

USERS = """
CREATE TABLE users (id bigint PRIMARY KEY, email text, age text);
INSERT INTO users SELECT n, format('User%s@Example.com', n), n % 90 FROM generate_series(1, 30000) AS n;
ANALYZE users
"""
LOWER = """
why: Sign-in must not depend on letter case
owner: team-identity
changes:
  - change_column: {table: users, column: email, to: {nullable: false, unique: true}, up: lower(email), down: email}
"""
GATES = "gates: {expand: [{sql: SELECT true, title: quiet night}], contract: [{soak: 7d}, {approval: {count: 2}}]}\n"


def planned(scene: Scene, body: str = LOWER) -> Plan:
    scene.sql(USERS)
    scene.spec(body)
    return scene.runner().plan(scene.migration())


def printed(plan: Plan, *, width: int = 160, **more: Any) -> str:
    text = StringIO()
    print_plan(plan, Console(file=text, width=width, markup=False, highlight=False), **more)
    return text.getvalue()


@pytest.fixture
def two(scene: Scene, monkeypatch: pytest.MonkeyPatch, databases: Any) -> Plan:
    """A plan over `app` and `other`."""
    (other,) = databases("other")
    with psycopg.connect(other) as connection:
        connection.execute("CREATE TABLE logins (id bigint PRIMARY KEY, name text)")
    monkeypatch.setenv("OTHER_URL", other)
    file = scene.root / "databases.yaml"
    file.write_text(file.read_text() + "other: {url: env:OTHER_URL}\n")
    more = "  - add_column: {database: other, table: logins, column: seen, type: timestamptz}\n"
    return planned(scene, LOWER + more)


def test_every_step_stands_in_every_form_with_lock_wait_and_undo(scene: Scene) -> None:
    plan = planned(scene)

    for text in (plan_markdown(plan), printed(plan)):
        for step in plan.steps:
            assert step.title in text
            assert all(f"{lock.mode} on {lock.relation}" in text for lock in step.locks)
            assert not step.undo or step.undo_title in text
    steps = [step for leg in plan_json(plan)["legs"] for each in leg["databases"] for step in each["steps"]]
    assert [step["id"] for step in steps] == [step.id for step in plan.steps]
    assert [step["number"] for step in steps] == [*range(1, len(steps) + 1)]


def test_who_waits_and_for_how_long_comes_from_the_spec(scene: Scene) -> None:
    plan = planned(scene, LOWER + "locks: {timeout: 300ms}\nbackfill: {target: 2s}\n")

    text = printed(plan)

    assert "reads and writes of public.users wait up to 300 ms for the lock, then an instant" in text
    assert "writes of public.users wait up to 300 ms for the lock, then an instant" in text
    assert "a writer of a row in the batch waits up to 2 s" in text
    assert "ACCESS SHARE on public.users · nobody waits" in text
    assert "SHARE UPDATE EXCLUSIVE on public.users · only other DDL waits" in text


def test_gates_stand_at_their_points(scene: Scene) -> None:
    plan = planned(scene, LOWER + GATES)

    for text, phase in ((plan_markdown(plan), "\n## {}"), (printed(plan), "\n{} ")):
        phases = ("expand", "backfill", "contract: cutover")
        expand, backfill, cutover = (text.index(phase.format(name)) for name in phases)
        assert expand < text.index("sql quiet night") < backfill
        assert cutover < text.index("soak 7d, approval by 2") < text.index("names in public.users")


def test_times_are_estimates_from_sizes_at_a_rate_that_is_said(scene: Scene) -> None:
    plan = planned(scene)

    text = printed(plan)

    assert "times assume 10,000 rows a second for walks" in text
    assert "fill new column email of public.users" in text
    assert "a writer of a row in the batch waits up to 500 ms · about 3 s" in text
    assert "rows: 30,000" in text
    assert plan_json(plan)["seconds"] > 6


def test_a_table_that_was_never_analysed_has_no_estimate_and_says_so(scene: Scene) -> None:
    plan = planned(scene)
    never = plan.model_copy(update={"sizes": tuple(size.model_copy(update={"rows": -1}) for size in plan.sizes)})

    assert "rows: number not known" in printed(never)
    assert "waits up to 500 ms\n" in printed(never)


def test_risks_come_worst_first_with_their_way_out(scene: Scene) -> None:
    plan = planned(scene, LOWER + "contract: {stages: [{drop: {}}]}\n")

    view = plan_json(plan)

    assert view["risk"] == "danger"
    assert "no-archive" in {hazard["code"] for hazard in view["hazards"]}
    for text in (plan_markdown(plan), printed(plan)):
        assert text.index("without an archive stage") < text.index("prepared statements that give")
        assert "add `archive: {keep: 30d}` to contract's stages" in text


def test_what_cannot_be_undone_is_said_so_and_is_a_risk(scene: Scene) -> None:
    plan = planned(scene, "changes:\n  - sql: {up: DROP TABLE users, phase: contract}\n")

    assert plan_json(plan)["risk"] == "danger"
    assert "undo: cannot be undone: not possible: no `down` is given" in printed(plan)
    assert "reads and writes of public.users wait until it is done" in " ".join(printed(plan).split())


def test_a_new_table_keeps_nobody_waiting(scene: Scene) -> None:
    text = printed(planned(scene, "changes:\n  - create_table: {table: extra, columns: [{name: id, type: int}]}\n"))

    assert "nobody waits" in text
    assert "locks not known" not in text


def test_statements_are_shown_when_they_are_wanted_and_are_those_that_run(scene: Scene) -> None:
    plan = planned(scene)

    in_json = json.dumps(plan_json(plan, sql=True)).replace("\\n", " ")
    for text in (plan_markdown(plan, sql=True), printed(plan, sql=True), in_json):
        assert "CREATE UNIQUE INDEX CONCURRENTLY" in text
        assert "{leaf}" not in text
        assert "FOR NO KEY UPDATE SKIP LOCKED" in " ".join(text.split())
    for text in (plan_markdown(plan), printed(plan), json.dumps(plan_json(plan))):
        assert "CREATE UNIQUE INDEX" not in text


def test_two_databases_are_grouped_under_each_phase(two: Plan) -> None:
    markdown, text = plan_markdown(two), printed(two)

    expand = markdown.split("## expand")[1].split("## backfill")[0]
    assert expand.index("### app") < expand.index("ADD" if "ADD" in expand else "add new column")
    assert expand.index("### app") < expand.index("### other") < expand.index("logins")
    assert "on app, other" in text
    legs = plan_json(two)["legs"]
    assert [each["database"] for each in legs[0]["databases"]] == ["app", "other"]
    assert [each["database"] for each in legs[1]["databases"]] == ["app"]


def test_markdown_tables_are_not_broken_by_what_stands_in_them(scene: Scene) -> None:
    plan = planned(scene, "changes:\n  - sql: {up: 'SELECT 1', down: 'SELECT 1', title: 'a | b'}\n")

    row = next(line for line in plan_markdown(plan).splitlines() if "a \\| b" in line)

    assert row.replace("\\|", "").count("|") == 7


def test_lines_in_a_file_do_not_end_in_blanks(scene: Scene) -> None:
    text = printed(planned(scene, LOWER + GATES), sql=True)

    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_the_summary_tells_where_it_goes_on_and_only_what_must_be_known(scene: Scene) -> None:
    plan = planned(scene, LOWER + "contract: {stages: [{drop: {}}]}\n")
    text = StringIO()

    print_summary(plan, "validate", Console(file=text, width=160))

    said = text.getvalue()
    assert "validate → cutover → drop on app" in said.replace("archive → ", "")
    assert "expand →" not in said
    assert "without an archive stage" in said
    assert "stands last in" not in said


@pytest.mark.parametrize("width", [40, 60])
def test_on_a_narrow_terminal_a_step_is_folded_below_its_title(scene: Scene, width: int) -> None:
    plan = planned(scene, LOWER + GATES)

    lines = printed(plan, width=width).splitlines()

    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]
    first = next(number for number, line in enumerate(lines) if line.startswith("   1  "))
    assert lines[first + 1].startswith(" " * 6)
    for step in plan.steps:
        assert step.title in " ".join(line.strip() for line in lines)


def test_a_plan_that_was_done_says_so_and_when(scene: Scene) -> None:
    plan, done = planned(scene), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    for text in (printed(plan, completed=done), plan_markdown(plan, completed=done)):
        assert f"Complete since {said_moment(done)}" in text
    assert plan_json(plan, completed=done)["completed"] == "2026-01-02T03:04:05+00:00"
    assert "Complete since" not in printed(plan)
