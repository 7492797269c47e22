"""crossfade explain: what a kind of change does."""

from __future__ import annotations

from pathlib import Path

from tests.cli.calls import Call

from crossfade.changes import CHANGES


def test_without_a_kind_all_are_listed(tmp_path: Path) -> None:
    lines = Call(tmp_path)("explain").stdout.splitlines()

    assert [line.split()[0] for line in lines] == sorted(CHANGES.names())
    assert any(line.startswith("rename_column ") and line.endswith("  Rename a column") for line in lines)


def test_a_page_is_shown(tmp_path: Path) -> None:
    shown = Call(tmp_path)("explain", "rename_column").stdout

    assert shown.startswith("# rename_column\n\nRename a column.\n")
    assert "| `from` | required |" in shown
    assert "## Hazards" in shown


def test_on_a_terminal_it_is_laid_out(tmp_path: Path) -> None:
    code, shown = Call(tmp_path).on_terminal("explain", "rename_column", answers={})

    assert (code, "| `from` |" in shown, "Old and new versions" in shown) == (0, False, True)


def test_an_unknown_kind_is_misuse_with_the_nearest_known_one(tmp_path: Path) -> None:
    result = Call(tmp_path)("explain", "rename_colum")

    assert result.exit_code == 2
    assert "there is no kind of change `rename_colum`" in result.stderr
    assert "did you mean `rename_column`?" in result.stderr
