"""crossfade.yaml: what a project says for all its migrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.spec import Settings, SpecError
from crossfade.spec.settings import load_settings


def settings(folder: Path, text: str) -> Settings:
    (folder / "crossfade.yaml").write_text(text)
    return load_settings(folder / "crossfade.yaml", ["app", "reports"])


def test_a_project_may_do_without_settings(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "crossfade.yaml", ["app"]) == Settings()


def test_a_freeze_is_of_all_databases_or_of_some(tmp_path: Path) -> None:
    everywhere, some = settings(
        tmp_path, "freezes: [{dates: 2026-12-24}, {dates: 2026-11-27..2026-11-30, databases: [app]}]\n"
    ).freezes

    assert (everywhere.binds(["reports"]), some.binds(["reports"]), some.binds(["reports", "app"])) == (
        True,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ("freeze: []\n", "unknown key `freeze`", "1:1"),
        ("freezes:\n  - dates: 24.12.2026\n", "dates are written 2026-12-24 or", "2:12"),
        ("freezes:\n  - dates: 2026-02-30\n", "no such day", "2:12"),
        ("freezes:\n  - dates: 2026-12-24..2026-12-01\n", "last day is before the first", "2:12"),
        ("freezes:\n  - dates: 2026-01-01..2027-06-01\n", "a year long at most", "2:12"),
        ("freezes:\n  - {dates: 2026-12-24, timezone: Europe/Olso}\n", "did you mean `Europe/Oslo`", "2:35"),
        ("freezes:\n  - {dates: 2026-12-24, databases: [ap]}\n", "`ap` is no database", "2:37"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, what: str, place: str) -> None:
    with pytest.raises(SpecError) as refused:
        settings(tmp_path, text)

    assert what in refused.value.what
    assert str(refused.value.problems[0].where).endswith(f"crossfade.yaml:{place}")
