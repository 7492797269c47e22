"""Writes known.json: what Great Expectations and own.py accept, so that to check a suite imports neither.

A test tells when it is stale; then `python -m crossfade.gates.expectations.describe` writes it anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

Schema = dict[str, Any]

FILE = Path(__file__).with_name("known.json")

# Keys that a suite does not have: of every expectation, how results are kept, which rows are looked at (that is
# `query` in a suite), and the two that arguments.py adds to each; of our own, what the engine gives.
_LEFT_OUT = {
    "batch",
    "batch_id",
    "catch_exceptions",
    "condition_parser",
    "description",
    "found",
    "id",
    "library_metadata",
    "meta",
    "metadata",
    "notes",
    "rendered_content",
    "result_format",
    "row_condition",
    "severity",
    "windows",
}
# It compares rows outside the database, and only the first 200 of them.
_NOT_OFFERED = {"expect_query_results_to_match_comparison"}
_KEPT = (
    "type",
    "enum",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "required",
)
# Where the schema of Great Expectations, made for its forms, says less or more than what it takes.
_CORRECTED: Schema = {
    "expression": {"type": "string", "format": "sql-expression"},
    "parent_table": {"type": "string", "format": "table"},
    "query": {"type": "string", "format": "sql-select"},
    "table": {"type": "string", "format": "table"},
    "to": {"type": "string", "format": "sql-expression"},
    "type_": {
        "description": "The type as in SQL: bigint, varchar(20), timestamptz.",
        "type": "string",
        "format": "sql-type",
    },
    "type_list": {
        "description": "Types as in SQL: bigint, varchar(20), timestamptz.",
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "format": "sql-type"},
    },
    "up": {"type": "string", "format": "sql-expression"},
    "unexpected_rows_query": {
        "description": "What finds the rows that should not be there; {batch} stands for the suite's rows.",
        "type": "string",
        "format": "sql-query",
    },
    "value_set": {
        "anyOf": [{"type": "array", "minItems": 1, "items": {"type": kind}} for kind in ("string", "number", "boolean")]
    },
}


def described() -> str:
    """The text known.json should have with the installed Great Expectations; imports it."""
    import great_expectations
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    from crossfade.gates.expectations import own

    found: Schema = {}
    for name in sorted(list_registered_expectation_implementations()):
        implementation = get_expectation_impl(name)
        schema = cast(Schema, json.loads(cast(Any, implementation).schema_json()))
        theirs = implementation.__module__.startswith("great_expectations.") and _asks_postgresql(schema)
        if (theirs and name not in _NOT_OFFERED) or implementation in own.PUBLISHED:
            found[name] = _expectation(schema)
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(known)}" for name, known in found.items())
    version = json.dumps(great_expectations.__version__)
    return f'{{\n "great_expectations": {version},\n "expectations": {{\n{lines}\n }}\n}}\n'


def _asks_postgresql(schema: Schema) -> bool:
    metadata = schema["properties"]["metadata"]["properties"]
    return "PostgreSQL" in metadata.get("supported_data_sources", {}).get("const", ())


def _expectation(schema: Schema) -> Schema:
    definitions: Schema = schema.get("definitions", {})
    keys: Schema = {}
    for key, value in schema["properties"].items():
        if key not in _LEFT_OUT:
            keys[key] = _compact(value, definitions)
        if key in keys and key in _CORRECTED:
            description = {"description": value["description"]} if "description" in value else {}
            keys[key] = {**description, **_CORRECTED[key]}
    summary = _sentence(schema["description"])
    return {"summary": summary, "required": sorted(schema.get("required", ())), "keys": keys}


def _compact(schema: Schema, definitions: Schema) -> Schema:
    """The schema of a value with its references put in, and without what a suite has no use for."""
    choices: list[Schema] = []
    for choice in _choices(schema, definitions):
        if choice not in choices:
            choices.append(choice)
    # Next to others an object is a parameter of Great Expectations' suites, which ours do not have.
    choices = [choice for choice in choices if choice != {"type": "object"}] or choices
    compact = choices[0] if len(choices) == 1 else {"anyOf": choices}
    described = {"description": _sentence(schema["description"])} if "description" in schema else {}
    return {**described, **compact}


def _choices(schema: Schema, definitions: Schema) -> Iterator[Schema]:
    if reference := schema.get("$ref"):
        schema = definitions[str(reference).rpartition("/")[2]]
    nested: list[Schema] = []
    for word in ("anyOf", "oneOf", "allOf"):
        nested += schema.get(word, ())
    for each in nested:
        yield from _choices(each, definitions)
    if not nested:
        kept = {key: schema[key] for key in _KEPT if key in schema}
        if isinstance(items := schema.get("items"), dict) and items:
            kept["items"] = _compact(cast(Schema, items), definitions)
        if properties := cast(Schema, schema.get("properties", {})):
            kept["properties"] = {key: _compact(value, definitions) for key, value in properties.items()}
        yield kept


def _sentence(text: str) -> str:
    """The first sentence: what follows is about other databases more often than not."""
    return re.split(r"(?<=\.)\s", " ".join(text.split()))[0]


if __name__ == "__main__":
    FILE.write_text(described(), encoding="utf-8")
