"""docs/versions.md is lived through as it stands: its spec, its statements, and the rows it promises."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from tests.docs.markdown import DOCS, Fence, Page
from tests.scene import Scene

from crossfade.spec.fragment import trusted

PAGE = Page(DOCS / "versions.md")


class Reader:
    def __init__(self, scene: Scene, stack: ExitStack) -> None:
        self._scene = scene
        self._stack = stack
        self._sessions: dict[str, psycopg.Connection[Any]] = {}
        self._rows: list[str] = []
        self._migration = ""

    def follow(self, fence: Fence) -> None:
        match fence:
            case Fence("sql", {"as": who}, text):
                self._run(self._session(who), text)
            case Fence("text", _, text):
                assert self._rows == text.splitlines(), f"line {fence.line}"
            case Fence("yaml", _, text):
                self._migration = re.findall(r"^migration: (\w+)$", text, re.MULTILINE)[0]
                (self._scene.root / "migration_specs" / "it.yaml").write_text(text)
            case Fence("sh", _, text):
                said = re.fullmatch(rf"crossfade up {self._migration}(?: --through (\w+))?\n", text)
                assert said, f"line {fence.line}: nobody knows how to run this"
                self._scene.up(id=self._migration, through=said[1])
            case _:
                pytest.fail(f"line {fence.line}: nobody knows what to do with this block")

    def _session(self, who: str) -> psycopg.Connection[Any]:
        if who not in self._sessions:
            self._sessions[who] = self._stack.enter_context(self._scene.connect())
        return self._sessions[who]

    def _run(self, session: psycopg.Connection[Any], script: str) -> None:
        for statement in filter(str.strip, script.split(";")):
            cursor = session.execute(trusted(statement))
            if cursor.description:
                self._rows = [" ".join(map(str, row)) for row in cursor.fetchall()]


def test_the_page_does_what_it_says(scene: Scene) -> None:
    with ExitStack() as stack:
        reader = Reader(scene, stack)
        for fence in PAGE.fences:
            reader.follow(fence)

    assert scene.own_objects() == []
