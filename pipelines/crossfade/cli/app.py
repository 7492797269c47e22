"""The commands, their panels in `--help`, and the one place where a failure becomes words and an exit code."""

from __future__ import annotations

import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from crossfade import __version__
from crossfade.cli import (
    approve,
    audit,
    check,
    compare,
    conflicts,
    demo,
    dev,
    drift,
    explain,
    init,
    metrics,
    new,
    pause,
    plan,
    purge,
    report,
    rollback,
    schema,
    status,
    up,
    usage,
    why,
)
from crossfade.cli.failure import INTERRUPTED, UNREAD, tell_defect, tell_interrupted, told
from crossfade.cli.project import MEMBER
from crossfade.cli.terminal import leave_closed_pipe


class Commands(TyperGroup):
    """A group whose commands never end in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            tell_interrupted()
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            leave_closed_pipe()
            raise typer.Exit(UNREAD) from None
        except Exception as error:
            code = told(error)
            if code is None:
                raise
            raise typer.Exit(code) from None


app = typer.Typer(
    cls=Commands,
    name="crossfade",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback(epilog="Begin with: crossfade init my && cd my && crossfade up")
def crossfade(
    ctx: typer.Context,
    project: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="The project, or any folder in it.",
            envvar="CROSSFADE_PROJECT",
            show_envvar=False,
        ),
    ] = Path("."),
    member: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="One member of a fleet: the command is about it alone.", show_default=False),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", help="Print the version and exit.", callback=_tell_version, is_eager=True
        ),
    ] = False,
) -> None:
    """PostgreSQL migrations without downtime, as reviewed YAML.

    Old and new application versions run side by side while a migration goes through expand, backfill, validate and
    contract. Every command can be stopped at any moment and run again.

    Exit codes: 0 done, or waiting for what a spec says to wait for; 1 refused or failed; 2 called wrongly; 141 nobody
    reads what is written any more (`| head`).
    """
    ctx.obj = project
    ctx.meta[MEMBER] = member


def version() -> None:
    """Print the version of crossfade."""
    typer.echo(f"crossfade {__version__}")


_PANELS = {
    "Begin": {"init": init.init, "demo": demo.demo, "new": new.new, "explain": explain.explain},
    "Review": {"check": check.check, "plan": plan.plan, "approve": approve.approve},
    "Run": {
        "up": up.up,
        "pause": pause.pause,
        "resume": pause.resume,
        "rollback": rollback.rollback,
        "purge": purge.purge,
    },
    "Look": {
        "status": status.status,
        "why": why.why,
        "report": report.report,
        "conflicts": conflicts.conflicts,
        "compare": compare.compare,
        "usage": usage.usage,
        "drift": drift.drift,
        "audit": audit.commands,
        "metrics": metrics.metrics,
    },
    "Tools": {"dev": dev.dev, "schema": schema.schema, "version": version},
}
_EXAMPLES = {
    "init": "crossfade init my && cd my && crossfade up",
    "new": "crossfade new rename_column joined_at",
    "explain": "crossfade explain\n\ncrossfade explain rename_column",
    "check": "crossfade check\n\ncrossfade check --json",
    "plan": "crossfade plan normalize_emails --sql\n\ncrossfade plan normalize_emails --format markdown > plan.md",
    "approve": "crossfade approve normalize_emails --team team_identity --reason 'reviewed in #412'",
    "up": "crossfade up\n\ncrossfade up normalize_emails --phase validate\n\ncrossfade up --yes --json",
    "rollback": "crossfade rollback normalize_emails\n\ncrossfade rollback normalize_emails --to validate",
    "purge": "crossfade purge\n\ncrossfade purge normalize_emails --yes --json",
    "why": "crossfade why normalize_emails\n\ncrossfade why normalize_emails --ask --json",
    "conflicts": "crossfade conflicts normalize_emails\n\ncrossfade conflicts normalize_emails --values --json",
    "compare": "crossfade compare profile.users billing.users\n\n"
    "crossfade compare app.users app.users_new --map-b 'email=lower(mail)' --skip seen_at --json",
    "usage": "crossfade usage users.email --for 7d\n\ncrossfade usage sample",
    "drift": "crossfade drift\n\ncrossfade drift app --accept --because 'index for the slow report, #412'",
    "metrics": "crossfade metrics\n\ncrossfade metrics --listen 127.0.0.1:9464",
    "report": "crossfade report normalize_emails --output suites.html",
    "schema": "crossfade schema > migration.schema.json\n\ncrossfade schema --write docs",
    "dev": "crossfade dev --port 3001",
}


def _examples(name: str) -> str | None:
    return f"Examples:\n\n{_EXAMPLES[name]}" if name in _EXAMPLES else None


for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel, epilog=_examples(_name))(_command)


def main() -> None:
    """The program `crossfade`."""
    # Imports make many objects that stay; looking through them again and again takes a tenth of a short command.
    gc.set_threshold(100_000, 50, 50)
    # Looking for plugins reads the metadata of every package installed, at each start; none of ours is one.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or file that cannot show a character must not end a migration.
            stream.reconfigure(errors="replace")
    try:
        app()
    except Exception as error:
        tell_defect(error, _root())
        sys.exit(1)


def _root() -> Path | None:
    from crossfade.errors import CrossfadeError
    from crossfade.spec import find_root

    try:
        return find_root(Path.cwd())
    except (CrossfadeError, OSError):
        return None
