"""Fleets: a name in databases.yaml that stands for many databases of one shape, and the waves they are migrated in.

Which databases these are is asked when it is needed (execute/fleet); nothing here connects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from crossfade.errors import Position, Problem
from crossfade.spec.custody import Classification, Personal
from crossfade.spec.databases import Database, checked_reference, is_fleet
from crossfade.spec.document import Document
from crossfade.spec.errors import SpecError, did_you_mean
from crossfade.spec.kinds import Kinds
from crossfade.spec.load import gates_listed
from crossfade.spec.model import Entry, Migration, RawGate
from crossfade.spec.validation import validated
from crossfade.spec.values import Identifier, SpecModel

_PAGE = "docs/fleets.md#databases"
_MEMBER = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"
_PLACE = "{member}"

MemberName = Annotated[str, Field(pattern=_MEMBER)]


class MemberEntry(SpecModel):
    """One database of a fleet."""

    name: MemberName
    database: Identifier | None = Field(default=None, description="Its name on the server; default: the member's.")
    host: str | None = Field(default=None, description="Its server; default: the one of the fleet's URL.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tags: tuple[MemberName, ...] = ()


class Each(SpecModel):
    """Where a fleet's members are named: one of a list, a query, or a pattern of databases."""

    members: tuple[MemberName | MemberEntry, ...] = Field(
        default=(), description="A list, in the order of the waves.", examples=[["acme", "bravo"]]
    )
    query: str | None = Field(
        default=None,
        description="A query that gives a `name` for each, and maybe `database`, `host`, `port` and `tags` (text[]).",
        examples=["SELECT name FROM tenant ORDER BY signed_up_at"],
    )
    on: str | None = Field(default=None, description="The database that `query` is asked of: a name of this file.")
    databases: str | None = Field(
        default=None, description="A pattern of names of the server's databases.", examples=["tenant_*"]
    )

    @model_validator(mode="after")
    def _is_said_once(self) -> Self:
        said = [name for name in ("members", "query", "databases") if getattr(self, name)]
        if len(said) != 1:
            raise ValueError(f"say one of `members`, `query` and `databases`; found {', '.join(said) or 'none'}")
        if (self.on is None) != (self.query is None):
            raise ValueError("`query` and `on` go together: what is asked, and of which database")
        names = [member_name(each) for each in self.members]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice[0]} is named twice")
        return self


class WaveEntry(SpecModel):
    """Members that are migrated together; one that says nothing of them is all the rest."""

    name: MemberName
    members: tuple[MemberName, ...] = Field(default=(), description="By name.", examples=[["acme"]])
    tags: tuple[MemberName, ...] = Field(default=(), description="Those with one of these tags.")
    share: str | None = Field(
        default=None,
        description="A share of the whole fleet, of those that no wave before has.",
        examples=["10%"],
        json_schema_extra={"pattern": r"^[0-9]{1,2}%$"},
    )
    gates: tuple[RawGate, ...] = Field(default=(), description="What must hold before the wave begins.")

    @field_validator("share")
    @classmethod
    def _is_a_share(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[1-9][0-9]?%", value):
            raise ValueError("a share is written 1% to 99%")
        return value

    @property
    def is_rest(self) -> bool:
        return not self.members and not self.tags and self.share is None


class Continue(SpecModel):
    """So many members may fail before no more are begun."""

    continue_up_to: Annotated[int, Field(ge=1)]


class FleetEntry(SpecModel):
    """A fleet: databases of one shape, each with a ledger and a frozen plan of its own."""

    url: str = Field(
        description="Where the URL is kept; a member's database and host are put into it. With {member} in it, each"
        " member has its own.",
        examples=["env:TENANTS_URL", "env:TENANT_{member}_URL", "file:/run/secrets/{member}-url"],
        json_schema_extra={"pattern": r"^(?:env:[A-Za-z0-9_{}]+|file:/.+)$"},
    )
    role: Identifier | None = Field(default=None, description="SET ROLE to this role: it will own what is created.")
    schema_: Identifier = Field(default="public", alias="schema", description="The schema of unqualified names.")
    environment: str | None = Field(default=None, description="What it is used for.", examples=["production"])
    residency: str | None = Field(default=None, description="Where its rows must stay.", examples=["eu"])
    classification: Classification | None = Field(default=None, description="How secret its most secret rows are.")
    personal: Personal | None = Field(default=None, description="Columns that tell of people.")
    each: Each
    waves: tuple[WaveEntry, ...] = Field(default=(), description="In order; default: one, with all members.")
    max_parallel: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="Members at work at a time.")
    on_error: Literal["halt"] | Continue = Field(
        default="halt", description="When a member fails, no more are begun; or only after so many have failed."
    )

    @field_validator("url")
    @classmethod
    def _url_is_a_reference(cls, value: str) -> str:
        checked_reference(value.replace(_PLACE, "member"))
        return value

    @field_validator("waves")
    @classmethod
    def _waves_are_in_order(cls, value: tuple[WaveEntry, ...]) -> tuple[WaveEntry, ...]:
        names = [wave.name for wave in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two waves are called {twice[0]}")
        if any(wave.is_rest for wave in value[:-1]):
            raise ValueError("a wave that names no members is all the rest, so it is the last one")
        if value and value[0].gates:
            raise ValueError("gates of a wave are asked once the one before has ended; before the first there is none")
        return value


@dataclass(frozen=True)
class Member:
    """A database of a fleet, by the name the fleet knows it by; in plans and ledgers it bears the fleet's."""

    name: str
    database: Database
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wave:
    """gates: asked before it begins, once the wave before has ended."""

    name: str
    members: tuple[Member, ...]
    gates: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """What databases.yaml says of a fleet.

    base: its databases have all but the address in common with this one. gates: by wave.
    failures: how many members may have failed while more are begun.
    """

    name: str
    base: Database
    each: Each
    waves: tuple[WaveEntry, ...]
    gates: Mapping[str, tuple[Entry, ...]]
    max_parallel: int
    failures: int

    @property
    def where(self) -> Position:
        return self.base.where

    def member(self, said: MemberEntry | str) -> Member:
        """One member, as a list or a query names it."""
        entry = said if isinstance(said, MemberEntry) else MemberEntry(name=said)
        if _PLACE in self.base.url:
            return Member(entry.name, replace(self.base, url=self._own_url(entry.name)), entry.tags)
        port = str(entry.port) if entry.port is not None else None
        within = {"dbname": entry.database or entry.name, "host": entry.host, "port": port}
        said_of_it = tuple((key, value) for key, value in within.items() if value is not None)
        return Member(entry.name, replace(self.base, within=said_of_it), entry.tags)

    def _own_url(self, name: str) -> str:
        if self.base.url.startswith("env:"):
            name = re.sub(r"[^A-Z0-9]", "_", name.upper())
        return self.base.url.replace(_PLACE, name)

    def in_waves(self, members: Sequence[Member]) -> tuple[Wave, ...]:
        """All members, each in the first wave that is meant for it; waves that are empty are left out."""
        left, found = list(members), list[Wave]()
        for wave in self.waves:
            mine = [each for each in left if wave.is_rest or each.name in wave.members or {*wave.tags} & {*each.tags}]
            if wave.share is not None:
                others = [each for each in left if each not in mine]
                mine += others[: math.ceil(len(members) * int(wave.share[:-1]) / 100)]
            left = [each for each in left if each not in mine]
            found.append(Wave(wave.name, tuple(mine), self.gates.get(wave.name, ())))
        found.append(Wave("rest" if self.waves else "all", tuple(left)))
        return tuple(wave for wave in found if wave.members)


def member_name(said: MemberEntry | str) -> str:
    return said if isinstance(said, str) else said.name


def fleets_in(document: Document, databases: Collection[str], gates: Kinds) -> Mapping[str, Fleet]:
    """The fleets of a databases.yaml by name; raises SpecError with everything that is wrong in them.

    databases: the names of its other entries.
    """
    problems: list[Problem] = []
    fleets: dict[str, Fleet] = {}
    data: Any = document.data
    for name in filter(lambda name: is_fleet(data[name]), data):
        entry = validated(FleetEntry, document, (name,), problems, page=_PAGE, quote=False)
        if entry is None:
            continue
        if entry.each.on is not None and entry.each.on not in databases:
            problems.append(
                Problem(
                    f"`{entry.each.on}` is no database of this file",
                    document.position((name, "each", "on")),
                    "the query that names the members could not be asked",
                    did_you_mean(entry.each.on, databases),
                )
            )
        by_wave = {
            wave.name: gates_listed(document, (name, "waves", index, "gates"), gates, problems)
            for index, wave in enumerate(entry.waves)
        }
        fleets[name] = Fleet(
            name,
            Database(
                name,
                entry.url,
                document.key((name,)),
                entry.role,
                entry.schema_,
                entry.environment,
                entry.residency,
                classification=entry.classification,
                personal=entry.personal,
            ),
            entry.each,
            entry.waves,
            by_wave,
            entry.max_parallel,
            entry.on_error.continue_up_to if isinstance(entry.on_error, Continue) else 0,
        )
    if problems:
        raise SpecError.sorted(problems)
    return fleets


def without_mixed_up(
    migrations: Sequence[Migration], fleets: Collection[str]
) -> tuple[list[Migration], list[SpecError]]:
    """Without those that go beyond a fleet: what a fleet's migration says is done in each member, and there only."""
    homes = {migration.id: migration.head.database for migration in migrations}
    sound: list[Migration] = []
    refused: list[SpecError] = []
    for migration in migrations:
        if problems := [*_mixed_up(migration, fleets, homes)]:
            refused.append(SpecError.sorted(problems))
        else:
            sound.append(migration)
    return sound, refused


def _mixed_up(migration: Migration, fleets: Collection[str], homes: Mapping[str, str]) -> Iterator[Problem]:
    home = migration.head.database
    for index, change in enumerate(migration.changes):
        # By convention of the language, a change that may be made elsewhere says so in its `database`.
        database: object = getattr(change.body, "database", None)
        if isinstance(database, str) and database != home and (home in fleets or database in fleets):
            yield Problem(
                f"a change in `{database}` does not go with a migration of `{home}`",
                migration.position("changes", index, change.kind, "database"),
                "what is done in each member of a fleet cannot be done once elsewhere in the same migration",
                "write a migration of its own for it",
            )
    for index, awaited in enumerate(migration.head.after):
        database = homes.get(awaited, home)
        if database in fleets and database != home:
            yield Problem(
                f"`{awaited}` is of the fleet `{database}`, and `{migration.id}` is of `{home}`",
                migration.position("after", index),
                "it is complete member by member, so nothing outside of the fleet can come after it",
                "take it out of `after`, and let a gate wait for what is needed",
            )
