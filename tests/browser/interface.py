"""Where things are in Dagster's pages, said once."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import FloatRect, Locator, Page, expect
from playwright.sync_api import TimeoutError as NotSeen

_LOOKS = 20
_LONG = 240_000  # milliseconds: what a person would wait for a daemon that looks every half minute


@dataclass(frozen=True)
class Interface:
    """shots: where pictures go; None: nowhere."""

    page: Page
    url: str
    shots: Path | None

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")

    def asset(self, key: str, view: str = "overview") -> None:
        self.open(f"/assets/{key}?view={view}")

    def materialize(self, key: str) -> None:
        """By the button of the asset's page; ends on the page of the run."""
        self.asset(key)
        self.page.get_by_role("button", name="Materialize").first.click()
        self.page.get_by_text("View", exact=True).first.click()
        self.page.wait_for_url(re.compile("/runs/"))

    def reload_definitions(self) -> None:
        """As after a change of the specs; ends on the lineage."""
        self.open("/asset-groups")
        self.page.get_by_role("button", name="Reload definitions").click()
        expect(self.page.get_by_text("Definitions reloaded")).to_be_visible(timeout=_LONG)

    def fill_in(self, job: str, config: str) -> None:
        """Its Launchpad, with config as YAML."""
        self.open(f"/locations/crossfade/jobs/{job}/playground/setup?config={quote(config)}")
        expect(self._launch_button).to_be_enabled(timeout=_LONG)

    def launch(self) -> None:
        """What is filled in; ends on the page of the run."""
        self._launch_button.click()
        self.page.wait_for_url(re.compile("/runs/"), timeout=_LONG)

    @property
    def _launch_button(self) -> Locator:
        return self.page.get_by_role("button", name="Launch Run")

    def run_ends(self, word: str) -> None:
        """The page of a run says how it ended: Success, Failure or Canceled."""
        ended = self.page.get_by_text(re.compile("^(Success|Failure|Canceled)$")).first
        ended.wait_for(timeout=_LONG)
        assert ended.inner_text() == word, f"the run ended with {ended.inner_text()}, where {word} was expected"

    def passed(self, key: str) -> None:
        """The asset's page shows what its materialization tells; waits for it, as a person does who reloads."""
        told = self.page.get_by_text("plan digest").first
        for _ in range(_LOOKS):
            self.asset(key)
            with suppress(NotSeen):
                told.wait_for(timeout=_LONG / _LOOKS)
                return
        raise AssertionError(f"{key} has not passed")

    def sees(self, *texts: str) -> None:
        for text in texts:
            expect(self.page.get_by_text(text).first).to_be_visible(timeout=_LONG)

    def shoot(self, name: str, clip: FloatRect) -> None:
        """clip: in pixels of the page."""
        if self.shots is not None:
            self.page.wait_for_timeout(2500)  # pictures of what is still fading in say nothing
            self.page.screenshot(path=self.shots / f"dagster_{name}.png", clip=clip)
