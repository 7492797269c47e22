"""crossfade usage: samples are taken, and what they tell of a column is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.calls import Call
from tests.usage.counted import Counted


@pytest.fixture
def call(counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """On a project whose only database counts statements."""
    monkeypatch.setenv("APP_URL", counted.url)
    (tmp_path / "databases.yaml").write_text("app: {url: env:APP_URL}\n")
    return Call(tmp_path)


def test_who_uses_a_column_is_shown_with_the_statement_and_the_limits(counted: Counted, call: Call) -> None:
    call("usage", "sample")
    counted.run("SELECT email FROM users WHERE id = 7")

    assert "app: primary: " in call("usage", "sample").stdout
    shown = call("usage", "users.email").stdout

    assert "public.users.email: used since" in shown
    assert f"used: {counted.role} on primary reads, 1 calls" in shown
    assert "SELECT email FROM users WHERE id = $1" in shown
    assert "not covered: primary is covered since" in shown
    assert "not seen: statements that failed" in shown


def test_json_has_the_same_evidence_as_the_gate(counted: Counted, call: Call) -> None:
    call("usage", "sample")
    call("usage", "sample", "--json")

    data = json.loads(call("usage", "users.email", "--for", "7d", "--json").stdout)

    assert (data["column"], data["verdict"]) == ("public.users.email", "no evidence")


def test_a_database_without_the_extension_is_told_how_to_get_it(counted: Counted, call: Call) -> None:
    counted.connection.execute("DROP EXTENSION pg_stat_statements")

    result = call("usage", "sample")

    assert result.exit_code == 1
    assert "CREATE EXTENSION pg_stat_statements" in result.stderr


@pytest.mark.parametrize(("column", "words"), [("users.mail", "no column users.mail"), ("email", "no column email")])
def test_a_column_that_is_not_there_is_a_wrong_call(call: Call, column: str, words: str) -> None:
    call("usage", "sample")

    result = call("usage", column)

    assert (result.exit_code, words in result.stderr) == (2, True)
