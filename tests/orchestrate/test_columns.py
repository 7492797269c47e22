"""An asset shows the columns of its migration's tables, and what they are made from."""

from __future__ import annotations

from tests.orchestrate.orchestra import FILL, Orchestra, Played


def schema(played: Played, leg: str) -> dict[str, str]:
    return {column.name: column.type for column in played.metadata(leg)["dagster/column_schema"].columns}


def test_the_columns_are_those_after_the_phase(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)

    played = orchestra.materialize("expand", "backfill")

    assert schema(played, "backfill") == {
        "app.public.items.id": "integer",
        "app.public.items.name": "text",
        "app.public.items.code": "text",
    }


def test_a_filled_column_tells_which_columns_that_expand_found_it_is_made_from(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)

    played = orchestra.materialize("expand", "backfill")

    assert "dagster/column_lineage" not in played.metadata("expand")
    (made,) = played.metadata("backfill")["dagster/column_lineage"].deps_by_column.items()
    assert made[0] == "app.public.items.code"
    assert [(dep.asset_key.path[-1], dep.column_name) for dep in made[1]] == [("expand", "app.public.items.name")]


def test_a_phase_that_had_passed_shows_them_too(orchestra: Orchestra) -> None:
    orchestra.scene.spec(FILL)
    orchestra.scene.up(through="backfill")

    assert "app.public.items.code" in schema(orchestra.materialize("expand", "backfill"), "backfill")
