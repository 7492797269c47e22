"""The parts of a Markdown page that tests look at: fenced blocks, headings with their anchors, links."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(?P<language>\w*)[ ]*(?P<options>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))')
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Fence:
    """A fenced block. line: of its first line in the page, from 1."""

    language: str
    options: dict[str, str]
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def fences(self) -> tuple[Fence, ...]:
        return tuple(
            Fence(
                found["language"],
                {name: quoted or bare for name, quoted, bare in _OPTION.findall(found["options"])},
                found["text"],
                self.text.count("\n", 0, found.start("text")) + 1,
            )
            for found in _FENCE.finditer(self.text)
        )

    @cached_property
    def prose(self) -> str:
        """The text without what stands in fences."""
        return _FENCE.sub("", self.text)

    @cached_property
    def sections(self) -> dict[str, str]:
        """What stands under each heading up to the next one of any level, by the heading's anchor."""
        parts = _HEADING.split(self.prose)
        return dict(zip(_anchors(parts[1::2]), parts[2::2], strict=True))

    @cached_property
    def links(self) -> tuple[str, ...]:
        return tuple(_LINK.findall(self.prose))


def pages() -> list[Page]:
    """The README and every page of docs/."""
    return [Page(ROOT / "README.md"), *map(Page, sorted(DOCS.rglob("*.md")))]


def _anchors(headings: list[str]) -> Iterator[str]:
    """As GitHub makes them: a heading that stands there again gets a number."""
    seen: Counter[str] = Counter()
    for heading in headings:
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        yield f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor
        seen[anchor] += 1
