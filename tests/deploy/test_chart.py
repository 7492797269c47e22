"""The values for Kubernetes held against the schema of the official chart, where DAGSTER_CHART says where it lies."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker

CHART = Path(os.environ.get("DAGSTER_CHART", ""))
VALUES = Path(__file__).parents[2] / "deploy" / "kubernetes" / "values.yaml"

pytestmark = pytest.mark.skipif("DAGSTER_CHART" not in os.environ, reason="DAGSTER_CHART names no folder")


def merged(defaults: Any, values: Any) -> Any:
    """As Helm does it before it looks at the schema: mappings key by key, and everything else replaced."""
    if not isinstance(defaults, dict) or not isinstance(values, dict):
        return values
    of_chart: dict[str, Any] = defaults  # pyright: ignore[reportUnknownVariableType]
    ours: dict[str, Any] = values  # pyright: ignore[reportUnknownVariableType]
    return of_chart | {key: merged(of_chart.get(key), value) for key, value in ours.items()}


def without_addresses(schema: Any) -> Any:
    """Without references to Kubernetes' own schemas, which lie elsewhere in the network."""
    match schema:
        case dict():
            entries: dict[str, Any] = schema  # pyright: ignore[reportUnknownVariableType]
            return {
                key: without_addresses(value)
                for key, value in entries.items()
                if not (key == "$ref" and str(value).startswith("https:"))
            }
        case list():
            return [without_addresses(each) for each in schema]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return schema


def test_the_values_are_as_the_charts_schema_says() -> None:
    values = merged(yaml.safe_load((CHART / "values.yaml").read_text()), yaml.safe_load(VALUES.read_text()))
    schema = without_addresses(json.loads((CHART / "values.schema.json").read_text()))

    Draft7Validator(schema, format_checker=FormatChecker()).validate(values)  # pyright: ignore[reportUnknownMemberType]
