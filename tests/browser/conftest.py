"""Dagster's user interface over a project, in Debian's Chromium: what a person sees and does there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest
from playwright.sync_api import Page, sync_playwright
from tests.browser.interface import Interface
from tests.orchestrate.dev_server import DevServer
from tests.scene import Scene

PICTURES = Path(gettempdir()) / "crossfade-browser"  # of tests that failed
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails keeps a picture of the page that it saw, and says where."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and isinstance(page, Page):
        PICTURES.mkdir(exist_ok=True)
        picture = PICTURES / f"{item.name}.png"
        page.screenshot(path=picture)
        report.sections.append(("the page when it failed", f"{page.url}\npicture: {picture}"))
    return report


@pytest.fixture
def page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


@pytest.fixture
def interface(scene: Scene, page: Page) -> Iterator[Interface]:
    """Of `crossfade dev` over the scene's project as it is when this is asked for. Screenshots go to the folder that
    CROSSFADE_SCREENSHOTS names, or nowhere."""
    server = DevServer(scene.root)
    folder = os.environ.get("CROSSFADE_SCREENSHOTS")
    try:
        yield Interface(page, server.web.url, Path(folder) if folder else None)
    finally:
        server.stop()
