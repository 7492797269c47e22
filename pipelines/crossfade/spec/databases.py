"""databases.yaml: the databases that migrations name, and where their addresses are kept.

No secret stands in the repository: the file says which environment variable or file holds the URL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from crossfade.errors import CrossfadeError, Position, Problem
from crossfade.spec.custody import Classification, Personal
from crossfade.spec.document import Data, Document, read_document
from crossfade.spec.errors import SpecError
from crossfade.spec.validation import validated
from crossfade.spec.values import Identifier, SpecModel

FILE = "databases.yaml"
_PAGE = "docs/language.md#databases"
DATABASE_NAME = r"^[a-z][a-z0-9_]{0,62}$"
_URL = r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$"


def search_path(schema: str) -> tuple[str, ...]:
    """Where unqualified names of a spec are looked up, whatever table they are said of: one rule for the question
    what a fragment means, the batches that run it and the trigger functions that hold it.

    schema: the database's own.
    """
    return tuple(dict.fromkeys((schema, "public")))


class DatabaseAddressError(CrossfadeError):
    """The address of a database cannot be read where databases.yaml says it is."""


def checked_reference(value: str) -> str:
    """Where a URL is kept, as it is written; raises ValueError when it is not said so."""
    # What is refused may be a URL with its password: it is not repeated.
    kind, _, name = value.partition(":")
    if kind == "env" and name.isascii() and name.isidentifier():
        return value
    if kind == "file" and name.startswith("/"):
        return value
    raise ValueError(
        "a url is written as env:NAME or file:/path; a connection URL itself would put a secret into the repository"
    )


class DatabaseEntry(SpecModel):
    """A database: where its URL is kept, as whom crossfade acts in it, and what to know about it."""

    url: str = Field(
        description="Where the URL is kept: an environment variable or a file; never the URL itself.",
        examples=["env:PROFILE_DATABASE_URL", "file:/run/secrets/profile-url"],
        json_schema_extra={"pattern": _URL},
    )
    direct_url: str | None = Field(
        default=None,
        description="Where the URL past a connection pooler is kept; crossfade takes it instead of `url`.",
        examples=["env:PROFILE_DIRECT_URL"],
        json_schema_extra={"pattern": _URL},
    )
    replicas: tuple[Annotated[str, Field(json_schema_extra={"pattern": _URL})], ...] = Field(
        default=(),
        description="Where the URLs of its replicas are kept: who reads there is seen, too, by the gate `unused`.",
        examples=[["env:PROFILE_REPLICA_URL"]],
    )
    role: Identifier | None = Field(default=None, description="SET ROLE to this role: it will own what is created.")
    schema_: Identifier = Field(default="public", alias="schema", description="The schema of unqualified names.")
    environment: str | None = Field(default=None, description="What it is used for.", examples=["production"])
    residency: str | None = Field(default=None, description="Where its rows must stay.", examples=["eu"])
    classification: Classification | None = Field(default=None, description="How secret its most secret rows are.")
    personal: Personal | None = Field(default=None, description="Columns that tell of people.")

    @field_validator("replicas")
    @classmethod
    def _replicas_are_references(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            checked_reference(each)
        if len(set(value)) != len(value):
            raise ValueError("a replica is named twice")
        return value

    @field_validator("url", "direct_url")
    @classmethod
    def _url_is_a_reference(cls, value: str | None) -> str | None:
        return checked_reference(value) if value is not None else None


@dataclass(frozen=True)
class Database:
    """A database of the project. It holds no secret: the address is read when it is asked for.

    url: where the address is kept that crossfade connects to, past a pooler where there is one.
    within: parameters of libpq that take the place of those in the address: of a member of a fleet.
    """

    name: str
    url: str
    where: Position
    role: str | None = None
    schema: str = "public"
    environment: str | None = None
    residency: str | None = None
    replicas: tuple[str, ...] = ()
    classification: Classification | None = None
    personal: Personal | None = None
    within: tuple[tuple[str, str], ...] = ()

    def is_personal(self, schema: str, table: str, column: str) -> bool:
        """databases.yaml says of the column that it tells of people, so its values and keys are for nobody's eyes."""
        return self.personal is not None and self.personal.names(schema, table, column, home=self.schema)

    def replica(self, url: str) -> Database:
        """One of its replicas, to be read as this database is."""
        return replace(self, name=f"{self.name}, replica {url}", url=url, replicas=())

    def conninfo(self) -> str:
        """The URL or conninfo string, read now; raises DatabaseAddressError when it is not there."""
        kind, _, name = self.url.partition(":")
        address = self._from_environment(name) if kind == "env" else self._from_file(Path(name))
        return _within(address, dict(self.within)) if self.within else address

    def _from_environment(self, variable: str) -> str:
        if address := os.environ.get(variable, "").strip():
            return address
        raise DatabaseAddressError(
            f"the environment variable {variable} is not set",
            where=self.where,
            why=f"it holds the connection URL of database `{self.name}`",
            fix=f"export {variable}=postgresql://USER@HOST/DATABASE",
        )

    def _from_file(self, path: Path) -> str:
        try:
            address = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise self._unreadable(path, f"cannot be read: {reason}") from None
        if not address:
            raise self._unreadable(path, "is empty")
        return address

    def _unreadable(self, path: Path, what: str) -> DatabaseAddressError:
        return DatabaseAddressError(
            f"{path} {what}",
            where=self.where,
            why=f"it holds the connection URL of database `{self.name}`",
            fix="put the URL into it, alone on one line, readable by crossfade's user",
        )


def _within(address: str, parameters: dict[str, str]) -> str:
    """The address with these parameters in it; one that cannot be read stays as it is, and is refused with its name."""
    from psycopg import ProgrammingError, conninfo  # the driver is a third of what `crossfade check` takes

    try:
        return conninfo.make_conninfo(address, **parameters)
    except ProgrammingError:
        return address


def is_fleet(entry: Data) -> bool:
    """An entry of databases.yaml stands for many databases."""
    return isinstance(entry, dict) and "each" in entry


def load_databases(path: Path) -> Mapping[str, Database]:
    """The databases of a databases.yaml by name; raises SpecError with everything that is wrong in it."""
    return databases_in(read_document(path))


def databases_in(document: Document) -> Mapping[str, Database]:
    """The same of one that was read. Fleets are left out, but for their names: those are held to the same rule."""
    if not isinstance(document.data, dict):
        raise SpecError(
            "a mapping of database names is wanted here",
            where=document.position(()),
            why=f"see {_PAGE}",
            fix="write e.g. `profile: {url: env:PROFILE_DATABASE_URL}`",
        )
    problems: list[Problem] = []
    databases: dict[str, Database] = {}
    for name in document.data:
        where = document.key((name,))
        if not re.fullmatch(DATABASE_NAME, name):
            # Nor is the name repeated: in `{postgresql://...}` the URL is the key.
            problems.append(
                Problem(
                    "a database's name is lower-case letters, digits and _, and begins with a letter",
                    where,
                    "it becomes part of names in the ledger and in Dagster",
                    "rename it here and in the specs that name it",
                )
            )
        elif is_fleet(document.at((name,))):
            continue
        elif entry := validated(DatabaseEntry, document, (name,), problems, page=_PAGE, quote=False):
            databases[name] = Database(
                name,
                entry.direct_url or entry.url,
                where,
                entry.role,
                entry.schema_,
                entry.environment,
                entry.residency,
                entry.replicas,
                entry.classification,
                entry.personal,
            )
    if problems:
        raise SpecError.sorted(problems)
    return databases
