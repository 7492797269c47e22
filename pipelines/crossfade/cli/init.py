"""crossfade init: a new project that runs at once."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.project import EMBEDDED
from crossfade.cli.schema import write_schemas
from crossfade.errors import CrossfadeError, UsageError

# Where each file of template/ goes.
_FILES = {
    "databases.yaml": "databases.yaml",
    "0001_normalize_emails.yaml": "migration_specs/0001_normalize_emails.yaml",
    "users_emails.yaml": "validations/users_emails.yaml",
    "workspace.yaml": "workspace.yaml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "sample.sql": ".crossfade/sample.sql",
}
_MARKER = """\
# A PostgreSQL of this project's own, on this machine only: started when a command needs a database whose variable
# is not set, and stopped when the command ends. Delete this file to use only databases that you name.
data: {data}
databases:                       # variable: the SQL its database begins with
  APP_DATABASE_URL: sample.sql
"""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new or empty folder.", show_default="the current one")
    ] = Path("."),
) -> None:
    """Make a new project in an empty folder, with a first migration that runs at once.

    While you have named no database, commands use a PostgreSQL of the project's own with a sample table.
    """
    if folder.exists() and (not folder.is_dir() or any(entry.name != ".git" for entry in folder.iterdir())):
        raise UsageError(
            f"{folder} is not an empty folder",
            why="a new project would be mixed with what is there; nothing was changed",
            fix="name a new folder: `crossfade init my`",
        )
    template = resources.files("crossfade.cli").joinpath("template")
    for source, target in _FILES.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.joinpath(source).read_text(encoding="utf-8"), encoding="utf-8")
    marker = folder / EMBEDDED
    write_schemas(marker.parent)
    marker.write_text(_MARKER.format(data=_data_directory(marker.parent.resolve())), encoding="utf-8")
    typer.echo(f"made a project in {folder.resolve()}")
    typer.echo("")
    if folder.resolve() != Path.cwd():
        typer.echo(f"  cd {folder}")
    typer.echo("  crossfade plan normalize_emails   # what it will do")
    typer.echo("  crossfade up                      # do it, as far as the gates allow")
    typer.echo("")
    typer.echo("README.md tells more.")


def _data_directory(folder: Path) -> str:
    """Where the embedded server keeps its data: in the project, unless its account cannot get there.

    Root's server runs as another account, which may not enter root's home.
    """
    import secrets

    from crossfade.server.account import unprivileged

    try:
        account = unprivileged()
    except CrossfadeError:
        return "postgres"  # no server can run here; who needs one is told why then
    if account is None or account.enters(folder):
        return "postgres"
    # A name nobody can have made before us.
    return f"/var/tmp/crossfade-{secrets.token_hex(8)}"  # noqa: S108
