"""A file that cannot be read is one red asset, and takes no other with it."""

from __future__ import annotations

import pytest
from dagster import AssetKey
from tests.orchestrate.orchestra import FILL, Orchestra

KEY = AssetKey(["broken", "migration_specs", "n.yaml"])


def test_a_broken_spec_is_an_asset_that_tells_where_and_what(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.spec("changes: [{add_colum: {table: items}}]\n", id="n")

    definitions = orchestra.definitions()

    graph = definitions.resolve_asset_graph()
    assert "migration_specs/n.yaml:5:" in (graph.get(KEY).description or "")
    assert "did you mean `add_column`?" in (graph.get(KEY).description or "")
    assert AssetKey(["app", "m", "expand"]) in graph.get_all_asset_keys()


def test_materializing_it_fails_with_the_same_words(orchestra: Orchestra) -> None:
    orchestra.scene.spec("changes: [{add_colum: {table: items}}]\n", id="n")

    played = orchestra.materialize("migration_specs/n.yaml")

    assert not played.is_green
    assert "unknown kind of change `add_colum`" in played.refusal


def test_others_are_unharmed(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.spec("changes: nonsense\n", id="n")

    assert orchestra.materialize("expand").is_green


@pytest.mark.parametrize(
    ("owner", "shown"),
    [
        ("ada@example.org", ["ada@example.org"]),
        ("ada@example.technology", ["team:ada@example.technology"]),
        ("team:identity", ["team:identity"]),
        ('"@identity"', ["team:@identity"]),
        ('" "', []),
    ],
)
def test_an_owner_whom_dagster_would_not_take_for_an_address_harms_nobody(
    orchestra: Orchestra, owner: str, shown: list[str]
) -> None:
    orchestra.scene.spec(f"owner: {owner}\n" + FILL)

    node = orchestra.definitions().resolve_asset_graph().get(AssetKey(["app", "m", "expand"]))

    assert node.owners == shown


def test_a_file_whose_name_dagster_would_not_take_harms_no_other(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    for name in ("für Ada.yaml", "fur Ada.yaml"):
        (orchestra.scene.root / "migration_specs" / name).write_text("crossfade: 1\n")

    definitions = orchestra.definitions()
    definitions.get_repository_def()

    keys = [key.path[-1] for key in definitions.resolve_asset_graph().get_all_asset_keys() if key.path[0] == "broken"]
    assert sorted(key.rpartition("-")[0] for key in keys) == ["f_r_Ada.yaml", "fur_Ada.yaml"]
    assert orchestra.materialize("expand").is_green


def test_what_comes_after_a_broken_spec_depends_on_it(orchestra: Orchestra) -> None:
    orchestra.scene.spec("changes: [{add_colum: {table: items}}]\n", id="n")
    orchestra.scene.spec("after: [n]\n" + FILL)

    graph = orchestra.definitions().resolve_asset_graph()

    assert graph.get(AssetKey(["app", "m", "expand"])).parent_keys == {KEY}


def test_a_broken_databases_file_is_an_asset_too(orchestra: Orchestra) -> None:
    (orchestra.scene.root / "databases.yaml").write_text("app: {uri: env:APP_URL}\n")

    assert list(orchestra.assets()) == ["databases.yaml"]


def test_the_sensor_lets_it_fail_once_and_again_when_it_says_otherwise(orchestra: Orchestra) -> None:
    orchestra.scene.spec("changes: [{add_colum: {table: items}}]\n", id="n")
    first = orchestra.tick()
    second = orchestra.tick(first.cursor)
    orchestra.scene.spec("changes: [{add_columm: {table: items}}]\n", id="n")
    third = orchestra.tick(second.cursor)

    assert [len(each.run_requests or ()) for each in (first, second, third)] == [1, 0, 1]
    assert [request.asset_selection for request in first.run_requests or ()] == [[KEY]]
    assert "migration_specs/n.yaml cannot be read" in (second.skip_message or "")
