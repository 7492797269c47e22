"""crossfade schema: the JSON Schemas with which editors complete and check the files of a project."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Kind(StrEnum):
    """The files that have a schema."""

    migration = "migration"
    databases = "databases"
    project = "project"
    suite = "suite"


def schema(
    kind: Annotated[
        Kind, typer.Argument(metavar="KIND", help="migration, databases, project or suite.")
    ] = Kind.migration,
    write: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write all of them there, as KIND.schema.json.")
    ] = None,
) -> None:
    """Print a JSON Schema, or write them all, for editors to complete and check what is typed."""
    if write is None:
        typer.echo(text_of(kind), nl=False)
        return
    for path in write_schemas(write):
        typer.echo(f"wrote {path}")


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema below `folder`, which is made when it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for kind in Kind:
        path = folder / f"{kind}.schema.json"
        path.write_text(text_of(kind), encoding="utf-8")
        written.append(path)
    return written


def text_of(kind: Kind) -> str:
    """A schema as it is kept in a file."""
    return json.dumps(_schema(kind), indent=2, ensure_ascii=False) + "\n"


def _schema(kind: Kind) -> dict[str, Any]:
    from crossfade.changes import CHANGES
    from crossfade.gates import GATES
    from crossfade.gates.expectations import suite_schema
    from crossfade.spec.schema import databases_schema, json_schema, project_schema

    match kind:
        case Kind.migration:
            return json_schema(CHANGES, GATES)
        case Kind.databases:
            return databases_schema()
        case Kind.project:
            return project_schema()
        case Kind.suite:
            return suite_schema()
