"""The JSON Schema: what an editor accepts is what crossfade accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from crossfade.spec import SpecModel, Vocabulary, parse_document
from crossfade.spec.schema import databases_schema, json_schema

from .specs import MINIMAL, SAMPLE
from .vocabulary import CHANGES, GATES

SCHEMA = json_schema(CHANGES, GATES)


def errors(text: str, schema: dict[str, Any] = SCHEMA) -> list[str]:
    document = parse_document(text, Path("spec.yaml"))
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(document.data)]  # pyright: ignore[reportUnknownMemberType]


def test_the_schemas_are_valid_schemas() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator.check_schema(databases_schema())


@pytest.mark.parametrize("spec", [SAMPLE, MINIMAL])
def test_a_right_spec_is_right_by_the_schema(spec: str) -> None:
    assert errors(spec) == []


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("owner:", "ownr:", "$"),
        ("change_column:", "change_colum:", "$.changes[0]"),
        ("      column: email", "      colum: email", "$.changes[0].change_column"),
        ("strategy: swap ", "strategy: swapp ", "$.changes[0].change_column.strategy"),
        ("workers: 2", "wrokers: 2", "$.backfill"),
        ("workers: 2", "workers: '2'", "$.backfill.workers"),
        ("target: 500ms", "target: 500", "$.backfill.target"),
        ("target: 500ms", "target: 500 ms x", "$.backfill.target"),
        ("expand:  ", "expnad:  ", "$.gates"),
        ("{soak: 7d}", "{soke: 7d}", "$.gates.contract"),
        ("for: 24h", "for_: 24h", "$.gates.contract"),
        ("- retire:", "- retyre:", "$.contract.stages[1]"),
        ("days: mon-thu", "days: mon-thr", "$.contract.window"),
    ],
)
def test_a_wrong_spec_is_wrong_by_the_schema_at_the_same_place(right: str, wrong: str, place: str) -> None:
    assert right in SAMPLE

    assert place in errors(SAMPLE.replace(right, wrong))


def test_durations_are_text_with_a_pattern_also_as_defaults() -> None:
    target = SCHEMA["$defs"]["Backfill"]["properties"]["target"]

    assert (target["type"], target["default"]) == ("string", "500ms")
    assert "pattern" in target


def test_kinds_are_described_by_their_docstrings() -> None:
    change = SCHEMA["$defs"]["change"]["properties"]["drop_table"]

    assert (change["title"], change["description"]) == ("drop_table", "Drop a table.")


def test_an_entry_of_changes_is_of_one_kind() -> None:
    assert errors(MINIMAL + "    change_column: {table: a, column: b, to: {}}\n") == ["$.changes[0]"]


def test_a_kind_may_have_a_class_of_any_name() -> None:
    class Contract(SpecModel):
        """A kind whose class is called as one of the language's own."""

        table: str

    schema = json_schema(Vocabulary({"contract": lambda: Contract}), GATES)

    assert errors(MINIMAL.replace("drop_table", "contract"), schema) == []
    assert errors(MINIMAL.replace("drop_table", "contract") + "contract: {table: x}\n", schema) == ["$.contract"]


def test_the_databases_have_a_schema_too() -> None:
    assert errors("profile: {url: env:PROFILE, role: migrator}\n", databases_schema()) == []
    assert errors("profile: {url: 'postgresql://host'}\n", databases_schema()) == ["$.profile.url"]
    assert errors("Profile: {url: env:X, shema: x}\n", databases_schema()) == ["$", "$.Profile"]
