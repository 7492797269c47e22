"""Phases and stages as assets: run by the engine, one leg each, in order."""

from __future__ import annotations

import pytest
from dagster import AssetKey, DagsterRunStatus
from tests.orchestrate.orchestra import FILL, SWAP, Orchestra

ALL = ["expand", "backfill", "validate", "cutover", "retire", "archive", "drop"]


def test_materialize_all_takes_a_migration_to_its_end(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)

    played = orchestra.materialize()

    assert played.is_green
    assert played.materialized == ALL
    assert orchestra.scene.sql("SELECT name FROM items ORDER BY id") == [("name 1",), ("name 2",), ("name 3",)]
    assert orchestra.scene.up().ended == "complete"


def test_an_asset_does_its_own_leg_and_no_other(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.materialize("expand")

    played = orchestra.materialize("backfill")

    assert played.materialized == ["backfill"]
    assert set(orchestra.scene.ledger().legs("m")) == {"expand", "backfill"}


@pytest.mark.parametrize("through", [None, "expand"])
def test_a_leg_out_of_turn_is_refused_with_what_comes_first(orchestra: Orchestra, through: str | None) -> None:
    orchestra.scene.spec(SWAP)
    if through is not None:
        orchestra.scene.up(through=through)

    played = orchestra.materialize("validate")

    assert not played.is_green
    assert f"validate of m comes later: {'backfill' if through else 'expand'} is next" in played.refusal
    assert not played.retried
    begun = orchestra.scene.one("SELECT to_regclass('crossfade.leg') IS NOT NULL")
    assert (list(orchestra.scene.ledger().legs("m")) if begun else []) == ([through] if through else [])


def test_a_stage_that_the_plan_does_not_have_is_nothing_to_do(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)

    played = orchestra.materialize()

    assert played.is_green
    assert played.materialized == ALL
    assert played.metadata("cutover")["note"].startswith("Nothing to do: the plan has no cutover.")


def test_the_materialization_tells_what_was_done(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.materialize("expand")

    told = orchestra.materialize("backfill").metadata("backfill")

    assert (told["rows"], told["batches"], told["retries"], told["databases"]) == (3, 1, 0, "app")
    assert "fill new column code" in told["plan"]
    assert told["plan digest"] == orchestra.scene.runner().plan(orchestra.scene.migration()).digest
    assert [row.data["rows"] for row in told["steps"].records] == [3]


def test_no_value_of_a_row_reaches_dagster(orchestra: Orchestra) -> None:
    orchestra.scene.sql("INSERT INTO items VALUES (4, 'S3cret'), (5, 'S3cret')")
    orchestra.scene.spec(
        "changes: [{change_column: {table: items, column: name, to: {type: int}, up: name::int, down: name::text}},"
        " {add_constraint: {table: items, name: one_name, unique: [name]}}]\n"
    )

    played = orchestra.materialize()

    assert not played.is_green
    assert "S3cret" not in "\n".join(map(str, orchestra.instance.all_logs(played.result.run_id)))


def test_a_run_bears_the_names_of_its_migration_and_leg(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)

    orchestra.materialize("expand")

    (run,) = orchestra.instance.get_runs()
    assert run.status == DagsterRunStatus.SUCCESS
    assert (run.tags["crossfade/migration"], run.tags["crossfade/leg"]) == ("m", "expand")


def test_the_asset_is_described_in_words(orchestra: Orchestra) -> None:
    orchestra.scene.spec("why: Sign-in must not depend on letter case\nowner: team-identity\n" + FILL)

    definitions = orchestra.definitions()

    key = AssetKey(["app", "m", "backfill"])
    node = definitions.resolve_asset_graph().get(key)
    assert node.description == (
        "Existing rows, in batches beside live traffic.\n\nm. Sign-in must not depend on letter case."
    )
    assert node.group_name == "app__m"
    assert node.owners == ["team:team-identity"]
    assert node.tags["crossfade/phase"] == "backfill"
    assert node.kinds == {"postgres"}
    assert definitions.resolve_assets_def(key).op.pool == "pg/app"


def test_a_migration_follows_the_last_leg_of_those_it_comes_after(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.scene.spec("after: [m]\n" + FILL, id="n")

    graph = orchestra.definitions().resolve_asset_graph()

    assert graph.get(AssetKey(["app", "n", "expand"])).parent_keys == {AssetKey(["app", "m", "drop"])}


def test_a_migration_that_must_wait_for_another_says_so(orchestra: Orchestra) -> None:
    orchestra.scene.spec(SWAP)
    orchestra.scene.spec("after: [m]\n" + FILL, id="n")

    played = orchestra.materialize("n/expand")

    assert "n comes after m, which has not started" in played.refusal
