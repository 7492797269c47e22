"""crossfade report: what suites found, as a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.calls import Call
from tests.cli.specs import ADD, users
from tests.scene import Scene


@pytest.mark.slow
def test_the_page_has_what_the_suite_found_and_no_value_of_a_row(scene: Scene, call: Call, tmp_path: Path) -> None:
    users(scene, ADD + "gates: {expand: [{suite: mailable}]}\n")
    (scene.root / "validations" / "mailable.yaml").write_text(
        "suite: mailable\ntable: users\nexpectations:\n"
        "  - expect_columns_to_agree: {column: email, to: lower(email)}\n"
        "  - expect_column_values_to_be_in_set: {column: email, value_set: [nobody]}\n"
    )
    call("up", "--yes")

    printed = call("report", "m")
    written = call("report", "m", "--output", str(tmp_path / "page.html"))

    assert "suite mailable before expand" in printed.stdout
    assert '<td class="number">500</td><td class="number">500</td><td class="number">100.000%</td>' in printed.stdout
    assert "Example.com" not in printed.stdout
    assert written.stdout == f"wrote {tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_text() == printed.stdout


def test_a_migration_that_has_not_started_has_no_report(scene: Scene, call: Call) -> None:
    users(scene)

    result = call("report", "m")

    assert result.exit_code == 1
    assert "m has not started" in result.stderr
