"""crossfade new: a spec to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from crossfade.cli.explain import known
from crossfade.cli.schema import Kind as SchemaKind
from crossfade.errors import CrossfadeError, UsageError

if TYPE_CHECKING:
    from crossfade.spec import SpecModel

_SPEC = """\
{schema}# What `{kind}` does, its keys and its hazards: crossfade explain {kind}
# What this comes to: crossfade plan {name} --sql
crossfade: 1
migration: {name}
title: {title}
# why:                           # why it is wanted; shown with the plan
# owner:                         # who answers for it
database: {database}
# after: []                      # migrations that must be complete first

{changes}
# gates:
#   contract:                    # before the old shape goes
#     - approval: {{count: 1}}     # `crossfade approve {name}`
#     - soak: 7d                 # both versions have run side by side for a week

# contract:
#   stages:
#     - archive: {{keep: 30d}}     # old values are kept aside, restorable
#     - drop: {{}}
"""


def new(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="A kind of change: see `crossfade explain`.")],
    name: Annotated[str, typer.Argument(metavar="MIGRATION", help="The id of the new migration.")],
) -> None:
    """Write a spec to begin with: the example of a kind, with what else it can say as comments."""
    from crossfade.changes import CHANGES
    from crossfade.gates import GATES
    from crossfade.spec import load_project
    from crossfade.spec.project import SPECS, spec_files
    from crossfade.spec.values import check_id

    model = CHANGES.model(known(kind))
    try:
        check_id(name)
    except ValueError as error:
        raise UsageError(
            f"`{name}` is no id of a migration", why=str(error), fix=f"e.g. `crossfade new {kind} normalize_emails`"
        ) from None
    project = load_project(ctx.obj, changes=CHANGES, gates=GATES, strict=False)
    root, folder = project.root, project.root / SPECS
    taken = {each.id: each.position("migration") for each in project.migrations}
    taken |= {each.migration: each.problems[0].where for each in project.broken if each.migration}
    if name in taken:
        raise CrossfadeError(
            f"there is a migration `{name}` already",
            where=taken[name],
            why="an id is unique: the ledger knows the migration by it",
            fix="choose another id, or add the change to that spec if it has not started",
        )
    database, other = [*project.databases, None, None][:2]
    path = folder / f"{_next_number(spec_files(folder)):04d}_{name}.yaml"
    has_schema = (root / ".crossfade" / f"{SchemaKind.migration}.schema.json").is_file()
    schema = f"# yaml-language-server: $schema=../.crossfade/{SchemaKind.migration}.schema.json\n#\n"
    folder.mkdir(exist_ok=True)
    path.write_text(
        _SPEC.format(
            schema=schema if has_schema else "",
            kind=kind,
            name=name,
            title=name.replace("_", " ").capitalize(),
            database=database or "app",
            changes=_changes(kind, model, other),
        ),
        encoding="utf-8",
    )
    typer.echo(f"wrote {path.relative_to(root)}")
    typer.echo(f"Write into it what is to change, then: crossfade check && crossfade plan {name}")


def _changes(kind: str, model: type[SpecModel], other: str | None) -> str:
    """The example, and the keys it does not use as comments. other: the database that rows go to, if there is one."""
    from crossfade.spec.manual import example, keys_of

    shown = example(model) if other is None else re.sub(r"\bdatabase: \w+", f"database: {other}", example(model))
    used = {key for change in yaml.safe_load(shown)["changes"] for key in change.get(kind, {})}
    unused = [key for key in keys_of(model) if re.split(r"[.\[]", key.path)[0] not in used]
    lines = [f"#   {key.path + ':':<24}# {_plain(key.meaning)}" for key in unused]
    return "\n".join([shown.rstrip(), *([f"# {kind} also takes:"] if lines else []), *lines, ""])


def _plain(markdown: str) -> str:
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown)


def _next_number(specs: Iterable[Path]) -> int:
    numbers = [int(found[1]) for path in specs if (found := re.match(r"(\d+)_", path.name))]
    return max(numbers, default=0) + 1
