"""The order of legs, deployments and flags: as a list that can be followed, and as a flowchart."""

from __future__ import annotations

import re

import pytest
from tests.scene import Scene
from typer.testing import CliRunner

from crossfade.cli.app import app
from crossfade.plan import Plan
from crossfade.report import mermaid, plan_json, plan_markdown
from crossfade.report.order import deploy_order

RENAME = """
changes: [{rename_column: {table: users, from: email, to: address}}]
gates: {contract: [{flag: addresses "live"}]}
applications:
  - {service: api, writes_new: 2.4.0, reads_new: 2.4.0, without_old: 2.10.0}
  - {service: reports, reads_new: "7", without_old: "7"}
"""
BOX = re.compile(r'  (\w+)(?:\[|\(\[|{{)"[^"<>]*"(?:\]|\]\)|}})')
ARROW = re.compile(r"  (\w+) --> (\w+)")


@pytest.fixture
def plan(scene: Scene) -> Plan:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, email text, age text)")
    (scene.root / "crossfade.yaml").write_text("flags: {file: flags.json}\n")
    (scene.root / "flags.json").write_text('{"flags": {}}')
    scene.spec(RENAME)
    return scene.runner().plan(scene.migration())


def titles(found: Plan) -> list[str]:
    """Of a leg its name only."""
    return [event.title.partition(":")[0] for event in deploy_order(found)]


def test_a_version_comes_when_what_it_uses_is_there_and_before_what_it_needs_is_gone(plan: Plan) -> None:
    assert titles(plan) == [
        "expand",
        "deploy api 2.4.0, which writes the new shape and reads the new shape",
        "backfill",
        "validate",
        "api 2.4.0 may rely on what it reads",
        "deploy reports 7, which reads the new shape and does without the old one",
        "deploy api 2.10.0, which does without the old one",
        'turn on the flag addresses "live"',
        "retire",
        "archive",
        "drop",
    ]


def test_each_is_listed_after_all_that_it_waits_for(plan: Plan) -> None:
    done: set[str] = set()
    for event in deploy_order(plan):
        assert set(event.after) <= done
        done.add(event.id)


def test_the_stage_that_takes_the_old_shape_waits_for_every_service_and_flag(plan: Plan) -> None:
    order = {event.id: event for event in deploy_order(plan)}

    waited = {order[name].title.partition(",")[0] for name in order["leg_retire"].after}

    assert waited == {
        "validate: both sides are proved to agree and new rules are checked; the new side alone could serve",
        "deploy api 2.10.0",
        "deploy reports 7",
        'turn on the flag addresses "live"',
    }


def test_where_a_column_keeps_its_name_versions_that_bear_both_come_before_the_swap(scene: Scene) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY, age text)")
    swap = "{change_column: {table: users, column: age, to: {type: int}, up: 'age::int', down: 'age::text'}}"
    scene.spec(f"changes: [{swap}]\napplications: [{{service: api, reads_new: '2', without_old: '2'}}]\n")

    found = scene.runner().plan(scene.migration())

    order = deploy_order(found)
    (deploy,) = [event for event in order if event.kind == "deploy"]
    assert deploy.after == ()
    assert titles(found)[3:5] == ["deploy api 2, which reads the new shape and does without the old one", "cutover"]


def test_it_is_drawn_with_a_box_for_each_and_an_arrow_for_each_wait(plan: Plan) -> None:
    drawn = mermaid(plan)

    lines = drawn.splitlines()
    boxes = {
        found[1] for line in lines if (found := re.fullmatch(r'  (\w+)(?:\[|\(\[|{{)"[^"<>]*"(?:\]|\]\)|}})', line))
    }
    arrows = {(found[1], found[2]) for line in lines if (found := re.fullmatch(r"  (\w+) --> (\w+)", line))}
    assert lines[0] == "flowchart TD"
    assert len(lines) == 1 + len(boxes) + len(arrows)
    assert arrows == {(before, event.id) for event in deploy_order(plan) for before in event.after}
    assert boxes == {event.id for event in deploy_order(plan)}
    assert "addresses #34;live#34;" in drawn


def test_every_form_of_the_plan_has_it(plan: Plan, scene: Scene) -> None:
    markdown = plan_markdown(plan)

    assert "2. deploy api 2.4.0, which writes the new shape and reads the new shape\n3. backfill" in markdown
    assert f"```mermaid\n{mermaid(plan)}```" in markdown
    assert [event["title"] for event in plan_json(plan)["order"]] == [event.title for event in deploy_order(plan)]
    said = CliRunner().invoke(app, ["--project", str(scene.root), "plan", "m", "--format", "mermaid"])
    assert said.output == mermaid(plan)


def test_a_plan_without_services_is_drawn_as_its_legs(scene: Scene) -> None:
    scene.sql("CREATE TABLE users (id int PRIMARY KEY)")
    scene.spec("changes: [{add_column: {table: users, column: seen, type: timestamptz}}]\n")

    found = scene.runner().plan(scene.migration())

    assert [event.kind for event in deploy_order(found)] == ["leg", "leg", "leg"]
    assert "Deploy order" not in plan_markdown(found)
