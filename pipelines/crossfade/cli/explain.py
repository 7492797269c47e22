"""crossfade explain: the manual page of a kind of change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.terminal import out
from crossfade.errors import UsageError


def explain(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="A kind of change; default: list them.", show_default=False)
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the pages of all kinds there, as KIND.md.")
    ] = None,
) -> None:
    """Show what a kind of change does: its keys, what versions of the application see, undo, locks, hazards."""
    from crossfade.changes import CHANGES
    from crossfade.spec.manual import page, summary

    if write is not None:
        for path in write_pages(write):
            typer.echo(f"wrote {path}")
    elif kind is None:
        width = max(map(len, CHANGES.names()))
        for name in sorted(CHANGES.names()):
            typer.echo(f"{name:<{width}}  {summary(CHANGES.model(name))}")
    else:
        text = page(known(kind), CHANGES.model(kind))
        if out().is_terminal:
            from rich.markdown import Markdown

            out().print(Markdown(text))
        else:
            typer.echo(text, nl=False)


def known(kind: str) -> str:
    """The kind, if there is one of this name; raises UsageError."""
    from crossfade.changes import CHANGES
    from crossfade.spec import did_you_mean

    if kind not in CHANGES.names():
        raise UsageError(f"there is no kind of change `{kind}`", fix=did_you_mean(kind, CHANGES.names()))
    return kind


def write_pages(folder: Path) -> list[Path]:
    """Write the page of every kind below `folder`, and one that lists them."""
    from crossfade.changes import CHANGES
    from crossfade.spec.manual import contents, page

    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{kind}.md": page(kind, CHANGES.model(kind)) for kind in sorted(CHANGES.names())}
    written: list[Path] = []
    for name, text in (pages | {"README.md": contents(CHANGES)}).items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
