"""crossfade schema: for editors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.cli.calls import Call

KINDS = ("migration", "databases", "project", "suite")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_printed_as_a_valid_schema(tmp_path: Path, kind: str) -> None:
    schema = json.loads(Call(tmp_path)("schema", kind).stdout)

    Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"crossfade {kind}"


def test_all_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    result = Call(tmp_path)("schema", "--write", str(tmp_path / "docs"))

    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == sorted(
        f"{kind}.schema.json" for kind in KINDS
    )
