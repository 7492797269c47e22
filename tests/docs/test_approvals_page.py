"""The examples of docs/approvals.md are right."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.docs.markdown import DOCS, Fence, Page

from crossfade.changes import CHANGES
from crossfade.gates import GATES
from crossfade.spec import load_migration
from crossfade.spec.settings import load_settings

PAGE = Page(DOCS / "approvals.md")
(ISSUERS,) = (fence for fence in PAGE.fences if fence.options.get("title") == "crossfade.yaml")
HEAD = {"crossfade": 1, "migration": "example", "title": "An example", "database": "app"}
CHANGE = {"add_column": {"table": "users", "column": "seen", "type": "timestamptz"}}


@pytest.mark.parametrize("fence", [fence for fence in PAGE.fences if fence.language == "yaml"], ids=lambda f: f.line)
def test_an_example_is_right(fence: Fence, tmp_path: Path) -> None:
    if "people:" in fence.text:
        (tmp_path / "crossfade.yaml").write_text(ISSUERS.text + fence.text)
        assert set(load_settings(tmp_path / "crossfade.yaml", []).people) == {"Ada", "Ben"}
        return
    if fence.options.get("title") == "crossfade.yaml":
        (tmp_path / "crossfade.yaml").write_text(fence.text)
        settings = load_settings(tmp_path / "crossfade.yaml", [])
        assert settings.issuers.keys() == {"github", "gitlab"}
        return
    spec = tmp_path / "example.yaml"
    spec.write_text(yaml.safe_dump({**HEAD, "changes": [CHANGE], **yaml.safe_load(fence.text)}, sort_keys=False))
    assert load_migration(spec, changes=CHANGES, gates=GATES).head
