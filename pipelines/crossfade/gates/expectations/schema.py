"""The JSON Schema of a suite file, with which editors complete and check it."""

from __future__ import annotations

from typing import Any

from crossfade.gates.expectations.arguments import known
from crossfade.gates.expectations.suite import SuiteFile

Schema = dict[str, Any]


def suite_schema() -> Schema:
    """The schema of a file in validations/."""
    schema = SuiteFile.model_json_schema()
    properties: Schema = schema["properties"]
    for value in properties.values():
        del value["title"]  # it only repeats the key
    properties["expectations"] |= {"items": {"$ref": "#/$defs/expectation"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "crossfade suite",
        "oneOf": [{"required": ["table"]}, {"required": ["query"]}],
        "$defs": {
            "expectation": {
                "type": "object",
                "properties": {name: _arguments(entry) for name, entry in known().items()},
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            }
        },
    }


def _arguments(entry: Any) -> Schema:
    return {
        "description": entry["summary"],
        "type": "object",
        "properties": entry["keys"],
        "required": entry["required"],
        "additionalProperties": False,
    }
