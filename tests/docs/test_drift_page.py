"""docs/drift.md shows what the command says."""

from __future__ import annotations

import re

from tests.cli.calls import Call
from tests.docs.markdown import DOCS, Page
from tests.scene import Scene

FENCES = Page(DOCS / "drift.md").fences


def test_the_example_is_what_the_command_says(scene: Scene) -> None:
    statements, said = (next(f.text for f in FENCES if f.language == name) for name in ("sql", "text"))
    command, acceptance = (f.text.strip().removeprefix("crossfade ") for f in FENCES if f.language == "sh")
    scene.sql("CREATE TABLE orders (id int PRIMARY KEY, note text)")
    scene.spec("changes: [{add_column: {table: orders, column: code, type: text}}]\n", id="add_code")
    scene.up(id="add_code")
    scene.sql(statements)
    call = Call(scene.root)

    told = call(command)

    assert (told.exit_code, re.sub("since .*", "since TIME", told.stdout)) == (1, said)
    before, _, reason = acceptance.partition(" --because ")
    assert call(*before.split(), "--because", reason.strip('"')).exit_code == 0
    assert call(command).exit_code == 0
