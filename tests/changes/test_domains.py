"""create_domain, alter_domain and create_type."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.catalog.snapshot import read_catalog
from crossfade.changes import Refused
from crossfade.execute import StepRefused
from crossfade.plan import Target, compile_plan
from crossfade.spec import Settings

EMAIL = """
CREATE DOMAIN email AS text DEFAULT 'a@b' CONSTRAINT has_at CHECK (VALUE LIKE '%@%');
CREATE TABLE people (id int PRIMARY KEY, mail email);
INSERT INTO people VALUES (1, 'a@b'), (2, 'longer@b'), (3, NULL)"""
SHORT = "alter_domain: {domain: email, add: {name: short, check: length(VALUE) < 8%s}}"


def since_18(scene: Scene) -> bool:
    return int(scene.one("SELECT current_setting('server_version_num')")) >= 180000


def test_a_domain_is_made_with_its_rules(scene: Scene) -> None:
    change = """create_domain:
      domain: size
      type: numeric(6,2)
      nullable: false
      default: 1
      checks: {positive: VALUE > 0}
      comment: in metres
"""
    lived = whole_way(scene, "SELECT 1", change)

    (made,) = lived.lines("CREATE DOMAIN")
    assert made.startswith("CREATE DOMAIN public.size AS numeric(6,2) NOT NULL DEFAULT 1")
    assert lived.lines("positive") == ["CONSTRAINT positive CHECK ((VALUE > (0)::numeric))"]
    assert lived.lines("COMMENT ON DOMAIN") == ["COMMENT ON DOMAIN public.size IS 'in metres'"]


def test_a_type_of_attributes_is_made(scene: Scene) -> None:
    change = 'create_type: {type: sum, attributes: [{name: Amount, type: "numeric(12,2)"}, {name: unit, type: text}]}'
    whole_way(scene, "SELECT 1", change)

    assert scene.one("SELECT (ROW(1.5, 'NOK')::sum).\"Amount\"") == 1.5


def test_a_rule_for_new_values_binds_these_alone_and_goes_again(scene: Scene) -> None:
    scene.sql(EMAIL)
    spec(scene, SHORT % ", stored: leave")
    before = scene.schema()

    scene.up()
    with pytest.raises(psycopg.errors.CheckViolation):
        scene.sql("INSERT INTO people VALUES (4, 'too-long@b')")
    assert scene.one("SELECT mail FROM people WHERE id = 2") == "longer@b"
    scene.rollback()

    assert scene.schema() == before


def test_stored_values_that_break_the_rule_are_counted_and_hold_it_up(scene: Scene) -> None:
    scene.sql(EMAIL)
    if not since_18(scene):
        pytest.skip("needs PostgreSQL 18")
    spec(scene, SHORT % "")

    with pytest.raises(StepRefused, match=r"1 values of public\.people\.mail that break short"):
        scene.up()
    scene.sql("INSERT INTO people VALUES (4, 'too-long@b')")
    scene.sql("UPDATE people SET mail = 'c@b' WHERE id IN (2, 4)")

    def reading_and_writing(connection: psycopg.Connection[Any], dice: object, number: int) -> None:
        connection.execute("UPDATE people SET mail = 'd@b' WHERE id = 1")

    with Writers(scene.connect, reading_and_writing) as writers:
        assert scene.up().ended == "complete"
    assert writers.failures == []
    assert "NOT VALID" not in scene.schema()


def test_a_rule_that_could_be_proved_only_while_nobody_writes_is_refused(scene: Scene) -> None:
    scene.sql(EMAIL)
    spec(scene, SHORT % "")
    with psycopg.connect(scene.urls[scene.first], autocommit=True) as connection:
        catalog = read_catalog(connection)
        old = replace(catalog, server=replace(catalog.server, version=170000))

        with pytest.raises(Refused, match=r"has values of public\.email, and app runs PostgreSQL 17") as refused:
            compile_plan(
                scene.migration(), lambda name: Target(name, "public", old, connection), scene.root, Settings()
            )

    assert "stored: leave" in (refused.value.fix or "")


def test_a_rule_over_empty_tables_is_proved_on_any_server(scene: Scene) -> None:
    whole_way(scene, "CREATE DOMAIN email AS text; CREATE TABLE people (mail email)", SHORT % "")

    assert "CONSTRAINT short CHECK ((length(VALUE) < 8))" in scene.schema()


def test_a_rule_is_dropped_in_the_end_and_comes_back(scene: Scene) -> None:
    scene.sql(EMAIL.replace("mail email", "mail text"))
    spec(scene, "alter_domain: {domain: email, drop: has_at}")
    before = scene.schema()

    assert scene.up().ended == "complete"
    assert "has_at" not in scene.schema()
    scene.rollback()

    assert scene.schema() == before


def test_a_default_is_changed_at_cutover_and_back(scene: Scene) -> None:
    scene.sql(EMAIL)
    spec(scene, "alter_domain: {domain: email, default: \"'x@y'\"}")
    before = scene.schema()

    scene.up(through="validate")
    assert scene.schema() == before
    scene.up()
    scene.sql("INSERT INTO people (id) VALUES (9)")
    scene.rollback()

    assert scene.schema() == before
    assert scene.one("SELECT mail FROM people WHERE id = 9") == "x@y"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("alter_domain: {domain: mail, drop: has_at}", "domain public.mail does not exist"),
        ("alter_domain: {domain: email, drop: has}", "public.email has no rule has"),
        ("alter_domain: {domain: email, add: {name: has_at, check: true}}", "has a rule has_at already"),
        ("alter_domain: {domain: email, add: {name: r, check: length(VALUE)}}", "the column wants boolean"),
        ("create_domain: {domain: d, type: int, checks: {r: VALU > 0}}", "valu"),
        ("create_domain: {domain: people, type: int}", "public.people exists already"),
        ("create_type: {type: t, attributes: [{name: a, type: nothing}]}", "nothing"),
        ("create_type: {type: t, attributes: [{name: a, type: int}, {name: a, type: int}]}", "two attributes a"),
    ],
)
def test_what_cannot_be_is_refused(scene: Scene, change: str, what: str) -> None:
    scene.sql(EMAIL)

    (problem,) = refusal(scene, change)

    assert what in problem.what
