"""A link from one page to another leads somewhere."""

from __future__ import annotations

import pytest
from tests.docs.markdown import Page, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.path.name)
def test_links_lead_somewhere(page: Page) -> None:
    for link in page.links:
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path
        assert path.exists(), link
        if anchor:
            assert anchor in Page(path).sections, link
