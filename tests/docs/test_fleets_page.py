"""The example of docs/fleets.md is right: it runs on a fleet as the page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.cli.calls import Call
from tests.conftest import Databases
from tests.docs.markdown import DOCS, Page
from tests.scene import Scene

from crossfade.server import Server

PAGE = Page(DOCS / "fleets.md")
NAMES = ("acme", "bravo", "coral")


def test_the_example_waits_where_the_page_says(
    tmp_path: Path, databases: Databases, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    control, *urls = databases("control", *NAMES)
    scene = Scene(tmp_path, {"control": control} | dict(zip(NAMES, urls, strict=True)), monkeypatch.setenv)
    monkeypatch.setenv("TENANTS_URL", server.url)
    for fence in (fence for fence in PAGE.fences if fence.language == "yaml"):
        title = fence.options["title"]
        folder = tmp_path if title == "databases.yaml" else tmp_path / "migration_specs"
        (folder / title).write_text(fence.text)
    scene.sql("CREATE TABLE tenant (name text, dbname text, tags text[], active boolean DEFAULT true)", "control")
    for name in NAMES:
        database = conninfo_to_dict(scene.urls[name])["dbname"]
        scene.sql(f"INSERT INTO tenant VALUES ('{name}', '{database}', '{{}}')", "control")
        scene.sql("CREATE TABLE users (id bigint PRIMARY KEY, email text)", name)
    call = Call(tmp_path)

    ended = call("up", "--yes")

    assert ended.exit_code == 0, ended.output
    assert "emails_in_lower_case in acme: canary: reached (expand, backfill, validate)" in ended.output
    assert "before wave tenth: soak 1d" in ended.output
    scene.close()
