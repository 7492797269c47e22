"""Migrations that are long complete are one asset a database, so that definitions load fast."""

from __future__ import annotations

import gc

import pytest
from dagster import AssetKey
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.definitions.repository_definition import RepositoryLoadData
from tests.orchestrate.orchestra import FILL, Orchestra

HISTORY = AssetKey(["app", "history"])
AGO = "UPDATE crossfade.migration SET finished_at = now() - interval '{}'"
AWAY = "postgresql://nobody@127.0.0.1:9/app"


@pytest.fixture
def past(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> Orchestra:
    """Migration `m` was complete a month ago; `n` comes after it."""
    monkeypatch.setattr("crossfade.orchestrate.surveyed._WITHIN", 60.0)  # the machine may be busy
    orchestra.scene.spec(FILL)
    orchestra.scene.up()
    orchestra.scene.sql(AGO.format("30 days"))
    orchestra.scene.spec("after: [m]\nchanges: [{add_column: {table: items, column: size, type: int}}]\n", id="n")
    return orchestra


def keys(orchestra: Orchestra) -> set[str]:
    """Without the last part, which tells the phase."""
    graph = orchestra.definitions().resolve_asset_graph()
    return {"/".join(key.path[:2]) for key in graph.get_all_asset_keys()}


def test_a_migration_that_is_long_complete_is_in_the_history(past: Orchestra) -> None:
    graph = past.definitions().resolve_asset_graph()

    assert keys(past) == {"app/history", "app/n"}
    node = graph.get(HISTORY)
    assert (node.description or "").startswith("1 migration of app is complete for more than 7 days.")
    table = node.metadata["history"].value
    assert [record.data["migration"] for record in table.records] == ["m"]
    assert graph.get(AssetKey(["app", "n", "expand"])).parent_keys == {HISTORY}


def test_one_that_has_just_been_completed_keeps_its_assets(past: Orchestra) -> None:
    past.scene.sql(AGO.format("6 days"))

    assert keys(past) == {"app/m", "app/n"}


def test_definitions_load_by_what_the_ledger_said_last_when_it_does_not_answer(
    past: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.definitions()
    monkeypatch.setenv("APP_URL", AWAY)

    assert keys(past) == {"app/history", "app/n"}


def test_without_a_ledger_and_with_a_file_that_says_nothing_every_migration_has_its_assets(
    past: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_URL", AWAY)
    (past.scene.root / ".crossfade").mkdir()
    (past.scene.root / ".crossfade" / "history.json").write_text("no JSON")

    assert keys(past) == {"app/m", "app/n"}


def test_a_run_has_the_assets_that_its_code_location_had(past: Orchestra) -> None:
    past.scene.sql(AGO.format("6 days"))
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)) as location:
        past.definitions()
    past.scene.sql(AGO.format("8 days"))
    told = RepositoryLoadData(reconstruction_metadata=location.get_pending_reconstruction_metadata())

    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION, told)):
        in_a_run = keys(past)

    assert in_a_run == {"app/m", "app/n"}


def test_one_that_is_taken_back_is_told_by_the_sensor_and_harms_nobody(past: Orchestra) -> None:
    definitions = past.definitions()
    past.scene.rollback(to="validate")

    tick = past.tick(definitions=definitions)

    assert list(tick.run_requests or ()) == []
    assert "m: it is waiting again; reload the definitions, which have it in the history" in (tick.skip_message or "")


def test_a_migration_of_the_history_is_neither_told_nor_materialized(past: Orchestra) -> None:
    tick = past.tick()

    assert list(tick.asset_events) == []
    assert tick.skip_message == "1 complete, 1 not started"


def test_definitions_of_many_migrations_are_kept_from_the_collector_of_cycles(
    past: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = gc.get_freeze_count()
    past.definitions()
    assert gc.get_freeze_count() == before

    monkeypatch.setattr("crossfade.orchestrate.build._MANY", 2)
    try:
        past.definitions()
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    finally:
        gc.unfreeze()
